//! appserver.
