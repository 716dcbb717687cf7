//! natdeck
pub mod model;
