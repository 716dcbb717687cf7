//! The console. `update` takes messages in and gives effects out, `view` draws the state; both are pure. Only
//! [`runtime`] and [`terminal`] touch the world: the first carries effects out through a [`Backend`], the second owns
//! the terminal and gives it back, whatever happens.

pub mod arn;
pub mod backend;
pub mod detail;
pub mod diagnosis;
pub mod drill;
pub mod drill_menu;
pub mod effect;
pub mod help;
pub mod keymap;
pub mod layout;
pub mod message;
pub mod model;
pub mod runtime;
pub mod step_text;
pub mod terminal;
pub mod theme;
pub mod tree;
pub mod update;
pub mod view;
pub mod widget;

#[cfg(test)]
mod testing;

pub use backend::{Backend, EventSink};
pub use diagnosis::{Diagnosed, Mend, Story, Tried};
pub use drill::{Broken, Drill, DrillGround};
pub use keymap::Keymap;
pub use message::{Failure, Prepared, RunEnd};
pub use model::Settings;
pub use runtime::{ConsoleError, Options, Record, ShellDoor, Workbench, run};
pub use theme::Theme;
