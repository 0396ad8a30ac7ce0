//! proxy.

pub mod action;
pub mod model;
pub mod rule;
