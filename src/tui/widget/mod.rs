//! Small parts that several panes use.

pub mod line;
pub mod text;
pub mod time;
