//! Where a session lives: which upstream holds its prompt cache.

pub mod key;
