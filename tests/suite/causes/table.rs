//! One row a cause, in both topologies: a healthy world, the cause, the diagnosis that puts it first, the repair after
//! which the check passes and nothing else is different, and the repair taken back. `assets/causes.md` is what was seen.

mod page;
mod rows;
mod trial;
mod words;
mod world;

use std::fmt::Write as _;
use std::sync::Arc;

use futures::StreamExt as _;
use natdeck::plan::Topology;
use natdeck::reach::Cause;

use page::Cell;
use rows::ROWS;
use trial::{Failure, healthy, prove};

/// Trials under way at once: some of them wait for each other's sleep.
const AT_ONCE: usize = 6;
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/causes.md");

/// `NATDECK_CAUSE=HOST_` tries the rows that hold this only, and leaves the page alone.
fn wanted() -> Option<String> {
    std::env::var("NATDECK_CAUSE").ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cause_comes_first_with_its_evidence_is_repaired_and_leaves_nothing_else_different() {
    let causes: Vec<Cause> = ROWS.iter().map(|row| row.cause).collect();
    assert_eq!(causes, Cause::ALL, "one row a cause, in its order");
    let (two, one) =
        futures::join!(Box::pin(healthy(Topology::SecondInterface)), Box::pin(healthy(Topology::SingleInterface)));
    let worlds = [(Topology::SecondInterface, Arc::new(two)), (Topology::SingleInterface, Arc::new(one))];
    let wanted = wanted();
    let rows = ROWS.iter().filter(|row| wanted.as_ref().is_none_or(|part| row.cause.name().contains(part.as_str())));
    let trials = rows.flat_map(|row| worlds.iter().map(move |(topology, world)| (row, *topology, world.clone())));
    let run = trials.map(|(row, topology, world)| {
        let task = tokio::spawn(async move { Box::pin(prove(&world, row)).await });
        async move { (row, topology, task.await.unwrap()) }
    });
    let mut results = futures::stream::iter(run).buffered(AT_ONCE);
    let (mut found, mut cells, mut wrong) = (Vec::new(), Vec::new(), String::new());
    while let Some((row, topology, result)) = results.next().await {
        match (result, row.absent(topology)) {
            (Ok(outcome), None) => cells.push(Cell::Found(Box::new(outcome))),
            (Err(Failure::NotHere(said)), Some(words)) if said == words => cells.push(Cell::Absent(words)),
            (Ok(_), Some(words)) => writeln!(wrong, "{topology} {}: happens, against: {words}", row.cause).unwrap(),
            (Err(Failure::NotHere(said)), words) => {
                writeln!(wrong, "{topology} {}: does not happen: {said}; the row says {words:?}", row.cause).unwrap();
            }
            (Err(Failure::Wrong(why)), _) => writeln!(wrong, "{topology} {}: {why}", row.cause).unwrap(),
        }
        if topology == Topology::SingleInterface
            && let Ok(both) = <[Cell; 2]>::try_from(std::mem::take(&mut cells))
        {
            found.push((row, both));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    if wanted.is_some() {
        return;
    }
    let page = page::page(&found);
    if std::env::var_os("NATDECK_BLESS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(kept == page, "assets/causes.md is not what was seen; NATDECK_BLESS=1 writes it anew");
}
