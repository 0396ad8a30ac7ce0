//! What a rule does with a request: forward it, redirect the client, or answer it. Values and pure functions only.
//!
//! Not here: choosing a target (`target_group`), talking to it (`forward`), building the HTTP response (`listener`).

mod fixed_response;
mod redirect;
mod template;

pub use fixed_response::{ContentType, FixedResponse};
pub use redirect::{Redirect, RedirectInput};
pub use template::{Keyword, Template, TemplateError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Forward(Forward),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
}

/// To the targets of one group. There is no failover to another group, as with the ALB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// Index into `Model::target_groups`.
    pub target_group: usize,
}

impl Action {
    /// The group (an index into `Model::target_groups`) that this action sends requests to.
    pub fn target_group(&self) -> Option<usize> {
        match self {
            Self::Forward(forward) => Some(forward.target_group),
            Self::Redirect(_) | Self::FixedResponse(_) => None,
        }
    }
}
