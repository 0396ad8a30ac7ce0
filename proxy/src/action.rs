//! What a rule does with a request: forward it, redirect the client, or answer it. Values and pure functions only.
//!
//! Not here: choosing a target (`target_group`), talking to it (`forward`), building the HTTP response (`listener`).

mod fixed_response;
mod forward;
mod redirect;
mod template;

pub use fixed_response::{ContentType, FixedResponse};
pub use forward::{Forward, Weighted};
pub use redirect::{Redirect, RedirectInput};
pub use template::{Keyword, Template, TemplateError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Forward(Forward),
    Redirect(Redirect),
    FixedResponse(FixedResponse),
}

impl Action {
    /// The groups that this action sends requests to; none unless it forwards.
    pub fn target_groups(&self) -> &[Weighted] {
        match self {
            Self::Forward(forward) => &forward.target_groups,
            Self::Redirect(_) | Self::FixedResponse(_) => &[],
        }
    }
}
