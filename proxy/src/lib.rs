//! proxy.

pub mod action;
pub mod discovery;
pub mod health_check;
pub mod model;
pub mod rule;
pub mod target_group;
