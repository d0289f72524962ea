//! instant
