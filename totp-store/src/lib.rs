//! What is kept.
#![forbid(unsafe_code)]
