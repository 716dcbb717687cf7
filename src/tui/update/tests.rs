use jiff::SignedDuration;

use super::*;
use crate::model::{CallOutcome, InstanceId};
use crate::plan::{Output, PlanKind};
use crate::reach::{CheckProgress, Verdict};
use crate::saga::{Event, NodeState, RunMode};
use crate::tui::diagnosis::Asking;
use crate::tui::effect::{Generation, WalkDepth};
use crate::tui::message::{Failure, RunEnd};
use crate::tui::model::{Activity, Dialog, Steps};
use crate::tui::testing::*;

mod diagnosis;

fn wide() -> Model {
    console_with((120, 40), network(Stage::Provisioned))
}

/// A console with a plan in its Steps pane.
fn planned(kind: PlanKind) -> Model {
    let mut model = wide();
    let effects = press(&mut model, if kind == PlanKind::Provision { "p" } else { "ctrl-d" });
    let generation = effects.iter().find_map(|effect| match effect {
        Effect::PlanProvision { generation, .. } | Effect::PlanTeardown { generation, .. } => Some(*generation),
        _ => None,
    });
    let result = Ok(Box::new(prepared(kind)));
    update(&mut model, Message::Planned { generation: generation.unwrap(), result });
    model
}

fn run_of(effects: &[Effect]) -> Option<(Generation, RunMode)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Run { generation, mode, .. } => Some((*generation, mode.clone())),
        _ => None,
    })
}

#[test]
fn the_first_question_is_who_and_what() {
    let mut model = console((120, 40));
    let effects = super::start(&mut model);
    assert!(matches!(effects.as_slice(), [Effect::Identify, Effect::Observe { .. }]));
}

#[test]
fn a_late_answer_is_dropped() {
    let mut model = wide();
    let older = press(&mut model, "r");
    let newer = press(&mut model, "r");
    let generation = |effects: &[Effect]| match effects {
        [Effect::Observe { generation }, ..] => *generation,
        other => panic!("{other:?}"),
    };
    let (older, newer) = (generation(&older), generation(&newer));
    let draft = || Ok(Box::new(network(Stage::Draft)));
    update(&mut model, Message::Observed { generation: newer, result: draft() });
    let number = model.picture().map(|picture| picture.number);
    update(&mut model, Message::Observed { generation: older, result: Ok(Box::new(network(Stage::Provisioned))) });
    assert_eq!(model.picture().map(|picture| picture.number), number, "the older answer changed nothing");
    assert!(!model.seen().unwrap().network.instances.shown().contains_key(NAT));
}

#[test]
fn frozen_nothing_moves_and_thawed_it_does() {
    let mut model = wide();
    press(&mut model, "r");
    press(&mut model, "f");
    observe(&mut model, network(Stage::Draft));
    assert!(model.seen().unwrap().network.instances.shown().contains_key(NAT), "the answer under way is not shown");
    let effects = update(&mut model, Message::Tick { now: at(600) });
    assert!(effects.is_empty(), "{effects:?}");
    assert!(press(&mut model, "r").is_empty(), "and by hand it says that it is frozen");
    press(&mut model, "f");
    let effects = update(&mut model, Message::Tick { now: at(601) });
    assert!(matches!(effects.as_slice(), [Effect::Observe { .. }]));
}

#[test]
fn an_idle_tick_redraws_only_when_a_shown_age_changed() {
    let mut model = wide();
    model.toasts.clear();
    model.dirty = false;
    update(&mut model, Message::Tick { now: start_plus_millis(400) });
    assert!(!model.dirty, "0.4 s later everything looks the same");
    update(&mut model, Message::Tick { now: at(3) });
    assert!(model.dirty, "'3 s ago' is new");
}

fn start_plus_millis(millis: i64) -> jiff::Timestamp {
    crate::tui::testing::start() + SignedDuration::from_millis(millis)
}

#[test]
fn the_filter_keeps_ancestors_and_escape_brings_everything_back() {
    let mut model = wide();
    let all = model.tree.len();
    press(&mut model, "/");
    type_in(&mut model, "private-instance-1");
    assert!(model.tree.len() < all);
    let first = model.tree.rows(1).next().map(|(_, node)| node.depth);
    assert_eq!(first, Some(0), "the VPC is still above it");
    press(&mut model, "Enter");
    assert!(matches!(model.overlay, Overlay::None));
    assert_eq!(model.selected_instance(), Some(InstanceId::new(CLIENT_1)));
    press(&mut model, "Esc");
    assert_eq!(model.tree.len(), all);
}

#[test]
fn while_the_filter_is_typed_letters_are_not_keys() {
    let mut model = wide();
    press(&mut model, "/");
    assert!(press(&mut model, "q").is_empty());
    assert!(press(&mut model, "p").is_empty());
    assert_eq!(model.tree.filter(), "qp");
}

#[test]
fn selecting_an_instance_asks_for_its_way_once() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    let effects = press(&mut model, "j");
    assert!(matches!(effects.as_slice(), [Effect::Walk { depth: WalkDepth::Known, .. }]), "{effects:?}");
    answer_walks(&mut model, effects, false);
    press(&mut model, "k");
    let again = press(&mut model, "j");
    assert!(again.is_empty(), "it is known already: {again:?}");
}

#[test]
fn explaining_answers_with_what_is_known_and_then_asks_the_hosts_on_a_new_snapshot() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    let effects = press(&mut model, "x");
    assert!(
        matches!(&effects[..], [Effect::Diagnose { depth: WalkDepth::Known, .. }, Effect::Observe { .. }]),
        "{effects:?}"
    );
    answer_diagnoses(&mut model, effects, &Ailment::None);
    assert!(
        model.inquiry.answer.is_some() && model.inquiry.asking.since().is_some(),
        "there at once, and still asking"
    );
    let effects = observe(&mut model, network(Stage::Provisioned));
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Diagnose { depth: WalkDepth::AskHosts, .. })),
        "{effects:?}"
    );
    answer_diagnoses(&mut model, effects, &Ailment::None);
    assert_eq!(model.inquiry.asking, Asking::Nothing);
    assert_eq!(model.inquiry.answer.as_ref().map(|answer| answer.depth), Some(WalkDepth::AskHosts));
}

#[test]
fn one_step_runs_at_once_and_all_steps_ask_first() {
    let mut model = planned(PlanKind::Provision);
    assert!(run_of(&press(&mut model, "a")).is_none());
    assert!(matches!(model.overlay, Overlay::Dialog(Dialog::Run { mode: RunMode::All })));
    assert!(run_of(&press(&mut model, "Enter")).is_none(), "Enter alone does nothing");
    press(&mut model, "Esc");
    let (_, mode) = run_of(&press(&mut model, "n")).unwrap();
    assert_eq!(mode, RunMode::One);
}

#[test]
fn running_to_the_selected_step_stops_there() {
    let mut model = planned(PlanKind::Provision);
    press(&mut model, "j");
    press(&mut model, "s");
    let (_, mode) = run_of(&press(&mut model, "y")).unwrap();
    assert_eq!(mode, RunMode::Until("second-interface".to_owned()));
}

#[test]
fn a_teardown_needs_the_typed_name() {
    for key in ["Enter", "n", "a", "s"] {
        let mut model = planned(PlanKind::Teardown);
        assert!(run_of(&press(&mut model, key)).is_none(), "{key} alone tears nothing down");
        assert!(run_of(&press(&mut model, "Enter")).is_none());
        type_in(&mut model, "nat-tes");
        assert!(run_of(&press(&mut model, "Enter")).is_none());
        update(&mut model, Message::Paste("t".to_owned()));
        assert!(run_of(&press(&mut model, "Enter")).is_none(), "pasting is not typing");
        type_in(&mut model, "t");
        assert!(run_of(&press(&mut model, "Enter")).is_some(), "{key}");
    }
}

#[test]
fn an_undo_asks_and_names_the_step_begun_last() {
    let mut model = planned(PlanKind::Provision);
    press(&mut model, "u");
    assert!(matches!(model.overlay, Overlay::None), "nothing was run yet");
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    let id = "nat-group".to_owned();
    update(&mut model, Message::Run { generation, event: Event::StepStarted { id: id.clone() } });
    update(&mut model, Message::Run { generation, event: Event::StepSucceeded { id, output: Output::None } });
    update(&mut model, Message::RunEnded { generation, end: RunEnd::Paused });
    press(&mut model, "u");
    match &model.overlay {
        Overlay::Dialog(Dialog::Undo { title }) => assert_eq!(title, "Create the security group NAT"),
        other => panic!("{other:?}"),
    }
    assert!(press(&mut model, "Enter").is_empty());
    let effects = press(&mut model, "y");
    assert!(matches!(effects.as_slice(), [Effect::UndoLast { .. }]));
}

#[test]
fn quitting_asks_while_a_step_runs() {
    let mut model = planned(PlanKind::Provision);
    assert_eq!(press(&mut wide(), "q"), [Effect::Quit], "idle it just quits");
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    assert!(press(&mut model, "q").is_empty());
    assert!(matches!(model.overlay, Overlay::Dialog(Dialog::Quit)));
    press(&mut model, "Esc");
    press(&mut model, "q");
    assert_eq!(press(&mut model, "s"), [Effect::StopRun]);
    assert!(matches!(model.session().unwrap().activity, Activity::Stopping { .. }));
    update(&mut model, Message::RunEnded { generation, end: RunEnd::Stopped });
    assert_eq!(press(&mut model, "q"), [Effect::Quit]);
}

#[test]
fn a_signal_ends_it_without_a_question() {
    let mut model = planned(PlanKind::Provision);
    press(&mut model, "n");
    assert_eq!(update(&mut model, Message::Terminate), [Effect::Quit]);
}

#[test]
fn events_of_an_older_run_change_nothing() {
    let mut model = planned(PlanKind::Provision);
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    let older = Generation(generation.0 - 1);
    update(&mut model, Message::Run { generation: older, event: Event::StepStarted { id: "nat-group".to_owned() } });
    assert_eq!(model.session().unwrap().progress[1].state, NodeState::Waiting);
    update(&mut model, Message::RunEnded { generation: older, end: RunEnd::Finished });
    assert!(matches!(model.session().unwrap().activity, Activity::Running { .. }));
}

#[test]
fn a_failed_step_shows_its_error_and_the_next_move() {
    let mut model = planned(PlanKind::Provision);
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    let failure = Failure::new("create", "InvalidGroup.Duplicate").with_next_move("choose another name");
    let end = RunEnd::Failed(vec![("nat-group".to_owned(), failure)]);
    update(&mut model, Message::RunEnded { generation, end });
    let session = model.session().unwrap();
    assert_eq!(session.cursor, 1);
    assert_eq!(session.progress[1].state, NodeState::Failed("InvalidGroup.Duplicate".to_owned()));
    assert_eq!(session.progress[1].next_move.as_deref(), Some("choose another name"));
    assert!(run_of(&press(&mut model, "n")).is_some(), "it can be run again");
}

#[test]
fn a_finished_step_refreshes_the_tree() {
    let mut model = planned(PlanKind::Provision);
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    let event = Event::StepSucceeded { id: "nat-group".to_owned(), output: Output::None };
    let effects = update(&mut model, Message::Run { generation, event });
    assert!(matches!(effects.as_slice(), [Effect::Observe { .. }]));
}

#[test]
fn read_only_refuses_every_changing_key_and_says_so() {
    let mut model = planned(PlanKind::Provision);
    model.identity.read_only = true;
    for key in ["Enter", "n", "a", "s", "u"] {
        model.toasts.clear();
        assert!(press(&mut model, key).is_empty(), "{key}");
        assert!(matches!(model.overlay, Overlay::None), "{key}");
        assert!(model.toasts.iter().any(|toast| toast.text.starts_with("Read-only")), "{key}");
    }
}

#[test]
fn a_snapshot_refuses_every_changing_key_and_says_so() {
    for plan in [PlanKind::Provision, PlanKind::Teardown] {
        let mut model = planned(plan);
        model.settings.snapshot_of = Some(model.now);
        for key in ["Enter", "n", "a", "s", "u"] {
            model.toasts.clear();
            assert!(press(&mut model, key).is_empty(), "{key}");
            assert!(matches!(model.overlay, Overlay::None), "{key}");
            assert!(model.toasts.iter().any(|toast| toast.text.starts_with("A snapshot only looks back")), "{key}");
        }
    }
}

#[test]
fn a_console_that_was_started_for_an_instance_opens_with_its_diagnosis_once() {
    let mut model = wide();
    model.settings.about = Some(InstanceId::new(CLIENT_0));
    model.sight = Sight::Waiting { since: model.now };
    press(&mut model, "r");
    let effects = observe(&mut model, network(Stage::Provisioned));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Diagnose { .. })), "{effects:?}");
    assert_eq!((model.pane, model.inquiry.about.as_ref().map(InstanceId::as_str)), (Pane::Diagnosis, Some(CLIENT_0)));
    press(&mut model, "1");
    press(&mut model, "r");
    observe(&mut model, network(Stage::Provisioned));
    assert_eq!(model.pane, Pane::Detail, "whoever went elsewhere stays there");
}

#[test]
fn a_plan_that_comes_late_does_not_replace_a_newer_one() {
    let mut model = wide();
    let [Effect::PlanProvision { generation, .. }] = press(&mut model, "p")[..] else { panic!() };
    press(&mut model, "ctrl-d");
    update(&mut model, Message::Planned { generation, result: Ok(Box::new(prepared(PlanKind::Provision))) });
    assert!(matches!(model.steps, Steps::Planning { kind: PlanKind::Teardown, .. }));
}

#[test]
fn a_teardown_proposes_the_stack_of_what_is_selected() {
    let mut model = wide();
    select(&mut model, NAT);
    let effects = press(&mut model, "ctrl-d");
    assert!(matches!(&effects[..], [Effect::PlanTeardown { stack: Some(stack), .. }] if stack == "nat-test"));
}

#[test]
fn answers_of_a_check_arrive_one_by_one_and_whoever_is_silent_has_no_verdict() {
    let mut model = wide();
    let effects = press(&mut model, "T");
    let generation = effects.iter().find_map(|effect| match effect {
        Effect::Check { generation, instance_ids, .. } => {
            assert_eq!(instance_ids.len(), 3);
            Some(*generation)
        }
        _ => None,
    });
    let generation = generation.unwrap();
    assert_eq!(model.checks.rows.len(), 3);
    let answer = CheckProgress::Answered(Box::new(result(CLIENT_0, Verdict::ViaNat)));
    update(&mut model, Message::Check { generation, progress: answer });
    let late = Generation(generation.0 - 1);
    let old = CheckProgress::Answered(Box::new(result(CLIENT_0, Verdict::NoEgress)));
    update(&mut model, Message::Check { generation: late, progress: old });
    update(&mut model, Message::CheckEnded { generation, result: Ok(()) });
    assert_eq!(model.checks.rows.len(), 1);
    let verdict = model.checks.result_of(&InstanceId::new(CLIENT_0)).and_then(|row| row.result.as_ref());
    assert_eq!(verdict.map(|r| r.verdict), Some(Verdict::ViaNat));
}

#[test]
fn marked_instances_are_what_a_check_asks() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    press(&mut model, "Space");
    press(&mut model, "Space");
    let effects = press(&mut model, "t");
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Check { instance_ids, .. } => Some(instance_ids.clone()),
        _ => None,
    });
    assert_eq!(asked, Some(vec![InstanceId::new(CLIENT_0), InstanceId::new(CLIENT_1)]));
}

#[test]
fn the_id_and_the_arn_are_copied() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    assert!(press(&mut model, "c").contains(&Effect::Copy { text: CLIENT_0.to_owned() }));
    let arn = format!("arn:aws:ec2:eu-central-1:123456789012:instance/{CLIENT_0}");
    assert!(press(&mut model, "C").contains(&Effect::Copy { text: arn }));
}

#[test]
fn the_log_follows_until_it_is_scrolled() {
    let mut model = wide();
    let calls = |range: std::ops::Range<u64>| range.map(|n| call(n, "DescribeVpcs", CallOutcome::Ok)).collect();
    update(&mut model, Message::Calls(calls(1..11)));
    press(&mut model, "@");
    assert_eq!(model.log.at(), 9);
    press(&mut model, "k");
    update(&mut model, Message::Calls(calls(11..21)));
    assert_eq!(model.log.at(), 8, "it stays where the person looks");
    press(&mut model, "G");
    update(&mut model, Message::Calls(calls(21..31)));
    assert_eq!(model.log.at(), 29);
}

#[test]
fn narrow_terminals_switch_between_tree_and_pane() {
    let mut model = console_with((80, 24), network(Stage::Provisioned));
    assert!(model.layout().tree.is_some() && model.layout().pane.is_none());
    press(&mut model, "Enter");
    assert!(model.layout().tree.is_none() && model.layout().pane.is_some());
    press(&mut model, "Esc");
    assert!(model.layout().tree.is_some());
    for _ in 0..6 {
        press(&mut model, "Tab");
    }
    assert_eq!(model.focus, Focus::Tree, "Tab goes around");
}

#[test]
fn a_refresh_that_fails_is_not_repeated_before_its_time() {
    let mut model = wide();
    let [Effect::Observe { generation }] = update(&mut model, Message::Tick { now: at(20) })[..] else { panic!() };
    update(&mut model, Message::Observed { generation, result: Err(Failure::new("observe", "denied")) });
    assert!(update(&mut model, Message::Tick { now: at(21) }).is_empty());
    assert!(!update(&mut model, Message::Tick { now: at(36) }).is_empty());
}

#[test]
fn a_failed_refresh_keeps_what_was_seen() {
    let mut model = wide();
    let [Effect::Observe { generation }] = press(&mut model, "r")[..] else { panic!() };
    update(&mut model, Message::Observed { generation, result: Err(Failure::new("observe", "no answer within 10 s")) });
    assert!(model.picture().is_some_and(|picture| picture.failure.is_some()));
    assert!(model.seen().unwrap().network.instances.shown().contains_key(NAT));
}

#[test]
fn hosts_are_asked_unasked_once_and_never_read_only() {
    for read_only in [false, true] {
        let mut model = wide();
        model.identity.read_only = read_only;
        select(&mut model, CLIENT_0);
        let effects = press(&mut model, "j");
        let [Effect::Walk { generation, network, instance_id, depth: WalkDepth::Known }] = &effects[..] else {
            panic!("{effects:?}")
        };
        let found = trace(network, instance_id, false);
        let answer = |generation, found| Message::Walked {
            generation,
            instance_id: instance_id.clone(),
            result: Ok(Box::new(found)),
        };
        let effects = update(&mut model, answer(*generation, found.clone()));
        if read_only {
            assert!(effects.is_empty(), "{effects:?}");
            continue;
        }
        let [Effect::Walk { generation, depth: WalkDepth::AskHosts, .. }] = effects[..] else { panic!("{effects:?}") };
        let again = update(&mut model, answer(generation, found));
        assert!(again.is_empty(), "a host that does not answer is not asked in a circle: {again:?}");
    }
}

#[test]
fn a_command_names_what_earlier_steps_made() {
    let mut model = planned(PlanKind::Provision);
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    assert!(model.session().unwrap().texts[2].aws_cli.contains("$NAT_GROUP"));
    let output = Output::SecurityGroup(crate::model::SecurityGroupId::new("sg-0123456789abcdef0"));
    let event = Event::StepSucceeded { id: "nat-group".to_owned(), output };
    update(&mut model, Message::Run { generation, event });
    let text = &model.session().unwrap().texts[2].aws_cli;
    assert!(text.contains("sg-0123456789abcdef0") && !text.contains("$NAT_GROUP"), "{text}");
}

#[test]
fn a_change_outdates_verdicts_and_what_cannot_be_tested_is_not_counted_as_failed() {
    let mut model = planned(PlanKind::Provision);
    let effects = press(&mut model, "T");
    let Some(Effect::Check { generation, .. }) = effects.last() else { panic!("{effects:?}") };
    for (id, verdict) in [(CLIENT_0, Verdict::NoEgress), (CLIENT_1, Verdict::CannotTest)] {
        let progress = CheckProgress::Answered(Box::new(result(id, verdict)));
        update(&mut model, Message::Check { generation: *generation, progress });
    }
    update(&mut model, Message::CheckEnded { generation: *generation, result: Ok(()) });
    assert_eq!(model.checks.count().to_string(), "0 of 1 via NAT, 1 cannot be tested");
    press(&mut model, "2");
    let (generation, _) = run_of(&press(&mut model, "n")).unwrap();
    let event = Event::StepSucceeded { id: "nat-group".to_owned(), output: Output::None };
    update(&mut model, Message::Run { generation, event });
    assert_eq!(model.checks.current().count(), 0, "they tell how things were");
    assert_eq!(model.checks.rows.len(), 2);
}

#[test]
fn a_shell_is_opened_on_the_selected_instance_and_its_end_looks_again() {
    let mut model = wide();
    assert!(press(&mut model, "s").is_empty(), "no instance is selected");
    assert!(model.toasts.iter().any(|toast| toast.text.starts_with("No instance here.")));
    select(&mut model, NAT);
    let effects = press(&mut model, "s");
    assert!(matches!(&effects[..], [Effect::Shell { instance_id }, ..] if instance_id.as_str() == NAT));
    let failure = Failure::new("open a shell", "the aws CLI is not installed").with_next_move("install it");
    let effects = update(&mut model, Message::ShellEnded(Err(failure)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Observe { .. })));
    assert!(model.toasts.iter().any(|toast| toast.text.ends_with("not installed - install it")));
}

#[test]
fn a_watch_asks_again_on_a_new_snapshot_never_twice_at_once_and_stops() {
    let mut model = console_with((120, 40), network(Stage::Provisioned));
    let answer = |model: &mut Model, effects: &[Effect], verdict| {
        for effect in effects {
            if let Effect::Check { generation, instance_ids, .. } = effect {
                for id in instance_ids {
                    let progress = CheckProgress::Answered(Box::new(result(id.as_str(), verdict)));
                    update(model, Message::Check { generation: *generation, progress });
                }
                update(model, Message::CheckEnded { generation: *generation, result: Ok(()) });
            }
        }
    };
    let is_check = |effect: &Effect| matches!(effect, Effect::Check { .. });
    press(&mut model, "W");
    let first = observe(&mut model, network(Stage::Provisioned));
    assert_eq!(first.iter().filter(|effect| is_check(effect)).count(), 1, "it asks on the new snapshot");
    // Due, and the round before has not ended.
    let early = update(&mut model, Message::Tick { now: at(31) });
    assert!(!early.iter().any(is_check) && model.checks.queued.is_empty(), "{early:?}");
    answer(&mut model, &first, Verdict::ViaNat);
    update(&mut model, Message::Tick { now: at(32) });
    let mut changed = network(Stage::Provisioned);
    changed.network_interfaces.items_mut().get_mut(NAT_ENI_1).unwrap().source_dest_check = true;
    let second = observe(&mut model, changed);
    assert!(second.iter().any(is_check), "{second:?}");
    answer(&mut model, &second, Verdict::NoEgress);
    let history = &model.checks.history.histories[&InstanceId::new(CLIENT_0)];
    let why = history.turns.back().unwrap().why().unwrap();
    assert!(why.contains(&format!("the source/destination check of {NAT_ENI_1} was turned on at ")), "{why}");
    press(&mut model, "W");
    assert!(model.checks.watching.is_none());
    update(&mut model, Message::Tick { now: at(300) });
    assert!(model.checks.queued.is_empty(), "a watch that was stopped asks nothing");
}
