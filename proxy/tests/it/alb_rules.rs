//! Rules and actions as an ALB has them, through a running proxy.

mod forward;
