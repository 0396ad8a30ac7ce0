//! Rules and actions as an ALB has them, through a running proxy: one table for each kind.

mod actions;
mod conditions;
mod forward;
mod transforms;
