//! The file store.

mod holder;
mod lock;
