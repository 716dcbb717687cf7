//! `awk`.
use super::super::shell::{Interp, Run};
pub(super) fn run(it: &mut Interp<'_, '_>, _words: &[String]) -> Run {
    it.fail(2, "awk: not supported by the simulated host")
}
