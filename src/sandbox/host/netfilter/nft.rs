//! `nft`.
use super::super::shell::{Interp, Run};
pub(in super::super) fn run(it: &mut Interp<'_, '_>, _words: &[String]) -> Run {
    it.fail(2, "nft: not supported by the simulated host")
}
