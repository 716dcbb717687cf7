//! Why an instance cannot get out: the answer, what the console remembers of asking for it, and how it is told. Pure.

mod diagnosed;
mod finding;
mod inquiry;
mod page;
mod path;

pub use diagnosed::{Diagnosed, Mend, Story, Tried};
pub use finding::{no_repair, repair_lines};
pub use inquiry::{Aftermath, Asking, Attempt, Inquiry, PathForm};
pub use page::{BESIDE_FROM, Page, page};
