//! Small parts that several panes use.

pub mod age;
pub mod line;
pub mod text;
