//! A toy world with AWS's habits (no client tokens, things found by tag, deletion refused while in use) under the
//! engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;

/// What exists: name to what it needs.
type Things = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

#[derive(Debug, Clone, Default)]
struct Toy {
    things: Things,
    /// Fails `apply` of this one, always.
    fails: Option<String>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    calls: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug, thiserror::Error)]
#[error("toy: {0}")]
struct ToyError(String);

impl Toy {
    fn note(&self, what: &str, step: &Thing) {
        self.calls.lock().unwrap().push(format!("{what} {}", step.name));
    }

    fn names(&self) -> Vec<String> {
        self.things.lock().unwrap().keys().cloned().collect()
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Thing {
    name: String,
    needs: Vec<String>,
}

impl Action for Toy {
    type Step = Thing;
    type Output = String;
    type Error = ToyError;

    async fn check(&self, step: &Thing, _: &BTreeMap<String, String>, _: &str) -> Result<Option<String>, ToyError> {
        self.note("check", step);
        Ok(self.things.lock().unwrap().contains_key(&step.name).then(|| step.name.clone()))
    }

    async fn apply(
        &self,
        step: &Thing,
        outputs: &BTreeMap<String, String>,
        token: &str,
        progress: &Progress,
    ) -> Result<String, ToyError> {
        self.note("apply", step);
        assert_eq!(token.len(), 32);
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        progress.say("working");
        tokio::task::yield_now().await;
        let result = (|| {
            if self.fails.as_ref() == Some(&step.name) {
                return Err(ToyError(format!("no {} today", step.name)));
            }
            if let Some(missing) = step.needs.iter().find(|needed| !outputs.contains_key(*needed)) {
                return Err(ToyError(format!("{missing} does not exist")));
            }
            let mut things = self.things.lock().unwrap();
            if things.insert(step.name.clone(), step.needs.clone()).is_some() {
                return Err(ToyError(format!("{} exists twice now", step.name)));
            }
            Ok(step.name.clone())
        })();
        tokio::task::yield_now().await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }

    async fn undo(
        &self,
        step: &Thing,
        output: &String,
        _: &BTreeMap<String, String>,
        _: &Progress,
    ) -> Result<(), ToyError> {
        self.note("undo", step);
        tokio::task::yield_now().await;
        let mut things = self.things.lock().unwrap();
        if let Some((user, _)) = things.iter().find(|(_, needs)| needs.contains(output)) {
            return Err(ToyError(format!("DependencyViolation: {user} needs {output}")));
        }
        things.remove(output);
        Ok(())
    }
}

fn node(id: &str, needs: &[&str]) -> Node<Thing, String> {
    let needs: Vec<String> = needs.iter().map(|&need| need.to_owned()).collect();
    Node { id: id.to_owned(), waits_for: needs.clone(), step: Thing { name: id.to_owned(), needs }, given: None }
}

/// vpc -> a, b -> c; and one thing that was there before.
fn diamond() -> Vec<Node<Thing, String>> {
    let given = Node { given: Some("role".to_owned()), ..node("role", &[]) };
    vec![given, node("vpc", &[]), node("a", &["vpc"]), node("b", &["vpc", "role"]), node("c", &["a", "b"])]
}

fn saga(toy: &Toy, log: &MemoryLog) -> Saga<Toy> {
    Saga::new("toy", diamond(), Arc::new(toy.clone()), Journal::in_memory(log).unwrap()).unwrap()
}

async fn run(saga: &mut Saga<Toy>, mode: RunMode) -> Outcome<ToyError> {
    saga.run(mode, &mut |_| {}).await.unwrap()
}

struct ToyTrial(Toy);

impl testing::Trial for ToyTrial {
    type Action = Toy;
    type Snapshot = Vec<String>;

    async fn fresh() -> Self {
        let toy = Toy::default();
        toy.things.lock().unwrap().insert("role".to_owned(), Vec::new());
        Self(toy)
    }

    fn action(&self) -> Toy {
        Toy { things: Arc::clone(&self.0.things), ..Toy::default() }
    }

    fn nodes(&self) -> Vec<testing::TrialNode<Self>> {
        diamond()
    }

    async fn snapshot(&self) -> Vec<String> {
        self.0.names()
    }
}

#[tokio::test]
async fn after_a_failure_anywhere_undo_leaves_the_world_as_it_was() {
    assert_eq!(testing::clean_after_every_failure::<ToyTrial>().await.unwrap(), 16);
}

#[tokio::test]
async fn after_a_failure_anywhere_a_second_run_reaches_the_end() {
    assert_eq!(testing::finished_after_every_failure::<ToyTrial>().await.unwrap(), 16);
}

#[tokio::test]
async fn a_step_done_twice_changes_nothing() {
    assert_eq!(testing::same_after_every_repetition::<ToyTrial>().await.unwrap(), 8);
}

#[tokio::test]
async fn killed_anywhere_the_next_process_reaches_the_end() {
    assert_eq!(testing::finished_after_every_kill::<ToyTrial>().await.unwrap(), 16);
}

#[tokio::test]
async fn killed_anywhere_the_next_process_can_undo() {
    assert_eq!(testing::clean_after_every_kill::<ToyTrial>().await.unwrap(), 32);
}

#[tokio::test]
async fn independent_steps_run_at_once_and_dependent_ones_in_order() {
    let toy = Toy::default();
    let mut saga = saga(&toy, &MemoryLog::default());
    assert!(matches!(run(&mut saga, RunMode::All).await, Outcome::Finished));
    assert_eq!(toy.most.load(Ordering::SeqCst), 2, "a and b");
    assert_eq!(toy.calls(), ["apply vpc", "apply a", "apply b", "apply c"]);
}

#[tokio::test]
async fn no_more_than_eight_run_at_once() {
    let toy = Toy::default();
    let nodes = (0..20).map(|n| node(&format!("n{n}"), &[])).collect();
    let journal = Journal::in_memory(&MemoryLog::default()).unwrap();
    let mut saga = Saga::new("toy", nodes, Arc::new(toy.clone()), journal).unwrap();
    assert!(matches!(run(&mut saga, RunMode::All).await, Outcome::Finished));
    assert_eq!(toy.most.load(Ordering::SeqCst), 8);
    assert_eq!(toy.names().len(), 20);
}

#[tokio::test]
async fn one_step_at_a_time_follows_the_list() {
    let toy = Toy::default();
    let mut saga = saga(&toy, &MemoryLog::default());
    for (done, next) in [("vpc", "a"), ("a", "b"), ("b", "c")] {
        let outcome = run(&mut saga, RunMode::One).await;
        assert!(matches!(&outcome, Outcome::Paused { next: n } if n == next), "after {done}: {outcome:?}");
        assert!(toy.names().contains(&done.to_owned()));
    }
    assert!(matches!(run(&mut saga, RunMode::One).await, Outcome::Finished));
    assert!(matches!(run(&mut saga, RunMode::One).await, Outcome::Finished));
}

#[tokio::test]
async fn until_runs_what_the_step_needs_and_nothing_else() {
    let toy = Toy::default();
    let mut saga = saga(&toy, &MemoryLog::default());
    let outcome = run(&mut saga, RunMode::Until("b".to_owned())).await;
    assert!(matches!(outcome, Outcome::Paused { next } if next == "a"));
    assert_eq!(toy.names(), ["b", "vpc"]);
    let unknown = saga.run(RunMode::Until("z".to_owned()), &mut |_| {}).await;
    assert!(matches!(unknown, Err(SagaError::UnknownStep { id }) if id == "z"));
}

#[tokio::test]
async fn a_failed_step_lets_the_others_finish() {
    let toy = Toy { fails: Some("a".to_owned()), ..Toy::default() };
    let log = MemoryLog::default();
    let mut saga = saga(&toy, &log);
    let mut events = Vec::new();
    let outcome = saga.run(RunMode::All, &mut |event| events.push(event)).await.unwrap();
    let Outcome::Failed { failures } = outcome else { panic!("{outcome:?}") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].error.to_string(), "toy: no a today");
    assert_eq!(toy.names(), ["b", "vpc"]);
    assert!(events.contains(&Event::StepFailed { id: "a".to_owned(), error: "toy: no a today".to_owned() }));
    assert!(events.contains(&Event::Progress { id: "b".to_owned(), text: "working".to_owned() }));
    assert!(matches!(saga.close(), Err(SagaError::Unfinished { next }) if next == "a"));
}

#[tokio::test]
async fn a_stop_lets_what_runs_end_and_starts_nothing_more() {
    let toy = Toy::default();
    let mut saga = saga(&toy, &MemoryLog::default());
    let stop = saga.stop();
    let outcome = saga
        .run(RunMode::All, &mut |event| {
            if matches!(event, Event::StepStarted { id } if id == "a") {
                stop.request();
            }
        })
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
    assert_eq!(toy.names(), ["a", "b", "vpc"]);
    assert!(matches!(run(&mut saga, RunMode::All).await, Outcome::Finished), "a stop is used up");
}

#[tokio::test]
async fn undo_last_goes_back_one_step_at_a_time() {
    let toy = Toy::default();
    let mut saga = saga(&toy, &MemoryLog::default());
    run(&mut saga, RunMode::All).await;
    let mut undone = Vec::new();
    loop {
        match saga.undo_last(&mut |_| {}).await.unwrap() {
            Outcome::PartlyUndone { id } => undone.push(id),
            Outcome::Undone => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(undone, ["c", "b", "a"]);
    assert_eq!(toy.names(), [""; 0]);
    assert_eq!(saga.close().unwrap(), Ending::Undone);
}

#[tokio::test]
async fn a_step_that_is_taken_back_gets_another_token() {
    let toy = Toy::default();
    let log = MemoryLog::default();
    let mut saga = saga(&toy, &log);
    run(&mut saga, RunMode::One).await;
    saga.undo_last(&mut |_| {}).await.unwrap();
    run(&mut saga, RunMode::One).await;
    let tokens: Vec<String> = log
        .lines()
        .iter()
        .filter_map(|line| match serde_json::from_str::<Record<Thing, String>>(line).unwrap() {
            Record::Started { token, .. } => Some(token),
            _ => None,
        })
        .collect();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn a_step_in_doubt_is_checked_before_it_is_applied_again() {
    let toy = Toy::default();
    let log = MemoryLog::default();
    {
        let mut saga = saga(&toy, &log);
        let mut silent = |_| {};
        let run = saga.run(RunMode::All, &mut silent);
        let mut run = std::pin::pin!(run);
        // Dropped when the thing is made and its answer is not written down.
        while toy.names().is_empty() {
            assert!(futures::poll!(run.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(toy.names(), ["vpc"]);
    let mut saga = saga(&toy, &log);
    assert!(matches!(run(&mut saga, RunMode::All).await, Outcome::Finished));
    assert_eq!(toy.calls(), ["apply vpc", "check vpc", "apply a", "apply b", "apply c"]);
}

#[tokio::test]
async fn the_journal_is_written_before_the_call() {
    struct Broken(usize);
    impl Log for Broken {
        fn append(&mut self, _: &[String]) -> std::io::Result<()> {
            self.0 += 1;
            if self.0 > 1 { Err(std::io::Error::other("no space left")) } else { Ok(()) }
        }
        fn close(self: Box<Self>) -> std::io::Result<()> {
            Ok(())
        }
    }
    let toy = Toy::default();
    let journal = Journal::open(Box::new(Broken(0)), &[]).unwrap();
    let mut saga = Saga::new("toy", diamond(), Arc::new(toy.clone()), journal).unwrap();
    let error = saga.run(RunMode::All, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, SagaError::Journal(JournalError::Io(_))), "{error}");
    assert_eq!(toy.calls(), [""; 0]);
}

#[tokio::test]
async fn a_journal_of_other_steps_is_refused() {
    let toy = Toy::default();
    let log = MemoryLog::default();
    drop(saga(&toy, &log));
    let journal = Journal::in_memory(&log).unwrap();
    let other = Saga::new("toy", vec![node("x", &[])], Arc::new(toy.clone()), journal).unwrap_err();
    assert!(matches!(other, SagaError::OtherNodes { .. }), "{other}");
    let resumed = Saga::resume(Arc::new(toy), Journal::in_memory(&log).unwrap()).unwrap();
    assert_eq!(resumed.next(), Some("vpc"));
}

#[test]
fn nodes_out_of_order_are_refused() {
    let make = |nodes| {
        let journal = Journal::in_memory(&MemoryLog::default()).unwrap();
        Saga::new("toy", nodes, Arc::new(Toy::default()), journal).unwrap_err()
    };
    assert!(matches!(make(vec![node("a", &["b"]), node("b", &[])]), SagaError::OutOfOrder { .. }));
    assert!(matches!(make(vec![node("a", &[]), node("a", &[])]), SagaError::Duplicate { .. }));
}

mod journal {
    use super::*;

    fn open(lines: &[&str]) -> Result<Journal<Thing, String>, JournalError> {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        Journal::open(Box::new(MemoryLog::default()), &lines)
    }

    fn line(record: &Record<Thing, String>) -> String {
        serde_json::to_string(record).unwrap()
    }

    /// The state of `a` after a legal beginning and these events, or the rule that was broken.
    fn after(events: &[&str]) -> Result<NodeState, String> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let id = "a".to_owned();
        let nodes = vec![node("a", &[])];
        let mut lines = vec![line(&Record::Begin { version: 1, saga: "toy".to_owned(), at, nodes })];
        lines.extend(events.iter().map(|event| {
            let id = id.clone();
            line(&match *event {
                "started" => Record::Started { id, token: "1".to_owned(), at },
                "started 2" => Record::Started { id, token: "2".to_owned(), at },
                "succeeded" => Record::Succeeded { id, output: "a".to_owned(), at },
                "failed" => Record::Failed { id, error: "e".to_owned(), at },
                "undo" => Record::UndoStarted { id, at },
                "undone" => Record::Undone { id, at },
                "undo failed" => Record::UndoFailed { id, error: "e".to_owned(), at },
                "end" => Record::End { ending: Ending::Finished, at },
                other => panic!("{other}"),
            })
        }));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        match open(&lines) {
            Ok(journal) => Ok(journal.book.unwrap().entry("a").unwrap().state.clone()),
            Err(JournalError::Illegal { rule, .. }) => Err(rule.to_string()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn every_transition_is_legal_or_not() {
        // What leads to each state, and which events may follow it.
        let failed = NodeState::Failed("e".to_owned());
        let undo_failed = NodeState::UndoFailed("e".to_owned());
        let events =
            ["started", "started 2", "succeeded", "failed", "undo", "undone", "undo failed", "end"].map(String::from);
        let table: [(&[&str], NodeState, &[&str]); 6] = [
            (&[], NodeState::Waiting, &["started", "started 2", "end"]),
            (&["started"], NodeState::Started, &["started", "succeeded", "failed", "undo", "end"]),
            (&["started", "succeeded"], NodeState::Succeeded, &["undo", "end"]),
            (&["started", "failed"], failed, &["started", "undo", "end"]),
            (&["started", "undo"], NodeState::Undoing, &["undo", "undone", "undo failed", "end"]),
            (&["started", "undo", "undo failed"], undo_failed, &["undo", "end"]),
        ];
        for (path, state, legal) in table {
            assert_eq!(after(path), Ok(state.clone()));
            for event in &events {
                let path: Vec<&str> = path.iter().copied().chain([event.as_str()]).collect();
                assert_eq!(after(&path).is_ok(), legal.contains(&event.as_str()), "{path:?} from {state:?}");
            }
        }
        assert_eq!(after(&["started", "undo", "undone"]), Ok(NodeState::Waiting));
        assert_eq!(after(&["end", "started"]), Err("it goes on after its end".to_owned()));
    }

    #[test]
    fn what_cannot_be_a_journal_is_refused_with_its_line() {
        let begin = line(&Record::Begin {
            version: 1,
            saga: "toy".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            nodes: diamond(),
        });
        let started =
            |id: &str| format!(r#"{{"record":"started","id":"{id}","token":"1","at":"1970-01-01T00:00:00Z"}}"#);
        let message = |lines: &[&str]| open(lines).unwrap_err().to_string();
        assert_eq!(
            message(&[&started("a")]),
            "line 1 of the journal cannot be true: it does not start with its beginning"
        );
        assert_eq!(message(&[&begin, &begin]), "line 2 of the journal cannot be true: it begins twice");
        assert_eq!(
            message(&[&begin, &started("z")]),
            "line 2 of the journal cannot be true: it names 'z', which is none of its steps"
        );
        assert_eq!(
            message(&[&begin, &started("a")]),
            "line 2 of the journal cannot be true: step 'a' is begun before 'vpc', which it waits for, is done"
        );
        assert_eq!(message(&[&begin, "{\"record\""]), "line 2 of the journal cannot be read");
        let newer = begin.replace("\"version\":1", "\"version\":2");
        assert!(matches!(open(&[&newer]).unwrap_err(), JournalError::Version { version: 2 }));
    }
}

mod store {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn begin(lock: &Lock, toy: &Toy) -> Saga<Toy> {
        Saga::new("toy", diamond(), Arc::new(toy.clone()), lock.journal("provision").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_saga_goes_on_in_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path().join("state"));
        let toy = Toy::default();
        let lock = store.lock("toy").unwrap();
        let mut saga = begin(&lock, &toy);
        run(&mut saga, RunMode::One).await;
        drop((saga, lock));
        let lock = store.lock("toy").unwrap();
        let mut saga = Saga::resume(Arc::new(toy.clone()), lock.journal("provision").unwrap()).unwrap();
        assert_eq!(saga.next(), Some("a"));
        assert!(matches!(run(&mut saga, RunMode::All).await, Outcome::Finished));
        assert_eq!(saga.outputs().len(), 5);
        assert_eq!(saga.close().unwrap(), Ending::Finished);
        assert!(!lock.path("provision").exists());
        assert!(!lock.journal::<Thing, String>("provision").unwrap().is_begun());
    }

    #[test]
    fn a_second_user_is_told_who_holds_the_stack() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let lock = store.lock("toy").unwrap();
        let journal = lock.journal::<Thing, String>("provision").unwrap();
        drop(lock);
        // The journal alone keeps the stack.
        let Err(StoreError::Held { stack, by }) = store.lock("toy") else { panic!("taken twice") };
        assert_eq!(stack, "toy");
        assert_eq!(by.unwrap().pid, std::process::id());
        assert!(store.lock("other").is_ok());
        drop(journal);
        assert!(store.lock("toy").is_ok());
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Store::new(directory.path()).lock("toy").unwrap();
        let path = lock.path("provision");
        drop(begin(&lock, &Toy::default()));
        let whole = fs::read(&path).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"record\":\"started\",\"id\":\"v").unwrap();
        let journal = lock.journal::<Thing, String>("provision").unwrap();
        assert!(journal.is_begun() && !journal.has_effects());
        assert_eq!(fs::read(&path).unwrap(), whole);
        let torn = fs::read_to_string(directory.path().join("toy-provision.jsonl.torn")).unwrap();
        assert_eq!(torn, "{\"record\":\"started\",\"id\":\"v\n");
    }

    #[test]
    fn a_journal_torn_at_any_byte_can_be_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Store::new(directory.path()).lock("toy").unwrap();
        let path = lock.path("provision");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut saga = begin(&lock, &Toy::default());
        runtime.block_on(run(&mut saga, RunMode::All));
        drop(saga);
        let whole = fs::read(&path).unwrap();
        for length in (0..whole.len()).step_by(7) {
            fs::write(&path, &whole[..length]).unwrap();
            let journal = lock.journal::<Thing, String>("provision");
            assert!(journal.is_ok(), "torn at {length}: {journal:?}");
        }
    }

    #[test]
    fn a_damaged_journal_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Store::new(directory.path()).lock("toy").unwrap();
        let path = lock.path("provision");
        for damage in [&b"{\"record\":\"begin\",\n"[..], b"\xff\xfe\n", b"\0\0\0\0\n{}\n"] {
            fs::write(&path, damage).unwrap();
            let error = lock.journal::<Thing, String>("provision").unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&path.display().to_string()) && text.contains("left as it is"), "{text}");
            assert_eq!(fs::read(&path).unwrap(), damage);
        }
    }

    #[test]
    fn the_last_five_finished_journals_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Store::new(directory.path()).lock("toy").unwrap();
        for _ in 0..7 {
            begin(&lock, &Toy::default()).abandon().unwrap();
        }
        let done = fs::read_dir(directory.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".done-"))
            .count();
        assert_eq!(done, 5);
    }

    #[test]
    fn a_name_that_leaves_the_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        assert!(matches!(store.lock("../x"), Err(StoreError::Name { .. })));
        assert!(matches!(store.lock(""), Err(StoreError::Name { .. })));
    }
}
