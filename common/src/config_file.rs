//! Configuration files as trees with places.
