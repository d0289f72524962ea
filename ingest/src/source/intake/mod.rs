//! source/intake
