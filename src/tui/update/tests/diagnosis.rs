//! Diagnosis, repair, drill and report, as keys and answers come.

use super::*;
use crate::tui::diagnosis::{Aftermath, Asking, Story};
use crate::tui::drill::Broken;

const SIZE: (u16, u16) = (120, 40);

fn full(ailment: &Ailment) -> Model {
    console_diagnosed(SIZE, ailment)
}

/// Presses `y` in the dialog of a repair and lets the step succeed. Gives what is asked for then.
fn repair(model: &mut Model, end: RunEnd) -> Vec<Effect> {
    press(model, "f");
    let effects = press(model, "y");
    let Some(Effect::Run { generation, plan, mode: RunMode::All }) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(plan.kind, PlanKind::Repair);
    let (generation, id) = (*generation, plan.steps[0].id.to_string());
    update(model, Message::Run { generation, event: Event::StepStarted { id: id.clone() } });
    if end == RunEnd::Finished {
        update(model, Message::Run { generation, event: Event::StepSucceeded { id, output: Output::None } });
    }
    update(model, Message::RunEnded { generation, end })
}

fn told(model: &Model) -> &str {
    match &model.inquiry.aftermath {
        Aftermath::Told { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quick_answer_never_replaces_a_full_one_and_late_answers_are_dropped() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    let quick = press(&mut model, "x");
    let effects = observe(&mut model, ailing(&Ailment::Route).0);
    answer_diagnoses(&mut model, effects, &Ailment::Route);
    answer_diagnoses(&mut model, quick, &Ailment::None);
    assert_eq!(model.inquiry.findings(), 1, "the full answer stays");
    let older = press(&mut model, "x");
    press(&mut model, "x");
    answer_diagnoses(&mut model, older, &Ailment::None);
    assert_eq!(model.inquiry.findings(), 1);
}

#[test]
fn escape_leads_back_to_where_x_was_pressed() {
    let mut model = with_a_check();
    assert!(model.selected_instance().is_some_and(|id| id.as_str() == CLIENT_0));
    press(&mut model, "x");
    assert_eq!((model.pane, model.focus), (Pane::Diagnosis, Focus::Pane));
    assert_eq!(model.inquiry.about, Some(InstanceId::new(CLIENT_0)));
    press(&mut model, "Esc");
    assert_eq!((model.pane, model.focus), (Pane::Checks, Focus::Pane));
}

/// The Checks pane in focus, with one instance in it.
fn with_a_check() -> Model {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    let effects = press(&mut model, "t");
    let Some(Effect::Check { generation, .. }) = effects.first() else { panic!("{effects:?}") };
    let progress = CheckProgress::Answered(Box::new(result(CLIENT_0, Verdict::NoEgress)));
    update(&mut model, Message::Check { generation: *generation, progress });
    update(&mut model, Message::CheckEnded { generation: *generation, result: Ok(()) });
    press(&mut model, "3");
    model
}

#[test]
fn in_a_frozen_picture_the_hosts_are_asked_about_what_is_shown() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    press(&mut model, "f");
    let effects = press(&mut model, "x");
    assert!(
        matches!(
            &effects[..],
            [Effect::Diagnose { depth: WalkDepth::Known, .. }, Effect::Diagnose { depth: WalkDepth::AskHosts, .. }]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_freeze_does_not_leave_a_question_hanging() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    press(&mut model, "x");
    press(&mut model, "h");
    let effects = press(&mut model, "f");
    assert!(model.pace != Pace::Live, "outside of the diagnosis f freezes");
    assert!(effects.iter().any(|e| matches!(e, Effect::Diagnose { depth: WalkDepth::AskHosts, .. })), "{effects:?}");
}

#[test]
fn a_repair_runs_after_a_yes_and_is_looked_at_and_checked_by_itself() {
    let mut model = full(&Ailment::Route);
    assert!(press(&mut model, "f").is_empty());
    assert!(press(&mut model, "Enter").is_empty(), "Enter alone changes nothing");
    press(&mut model, "Esc");
    let effects = repair(&mut model, RunEnd::Finished);
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Observe { .. })), "{effects:?}");
    let effects = observe(&mut model, network(Stage::Provisioned));
    let asked = |wanted: fn(&Effect) -> bool| effects.iter().any(wanted);
    assert!(asked(|effect| matches!(effect, Effect::Diagnose { depth: WalkDepth::AskHosts, .. })), "{effects:?}");
    assert!(asked(|effect| matches!(effect, Effect::Check { .. })), "{effects:?}");
    answer_diagnoses(&mut model, effects, &Ailment::None);
    assert_eq!(told(&model), "Repaired: Private-Instance-0 leaves through 3.64.126.205.");
}

#[test]
fn what_a_repair_did_not_mend_is_looked_at_again_and_then_said() {
    let mut model = full(&Ailment::Route);
    repair(&mut model, RunEnd::Finished);
    let mut looks = 0;
    for second in 1..60 {
        let effects = observe(&mut model, ailing(&Ailment::Route).0);
        looks += effects.iter().filter(|effect| matches!(effect, Effect::Diagnose { .. })).count();
        answer_diagnoses(&mut model, effects, &Ailment::Route);
        update(&mut model, Message::Tick { now: at(second) });
    }
    assert_eq!(looks, 5, "once, and four times again");
    assert_eq!(told(&model), "The repair was made, and NO_ROUTE_TO_DESTINATION is still there.");
}

#[test]
fn what_was_behind_a_repaired_cause_is_named() {
    let mut model = full(&Ailment::Route);
    repair(&mut model, RunEnd::Finished);
    let effects = observe(&mut model, ailing(&Ailment::Host).0);
    answer_diagnoses(&mut model, effects, &Ailment::Host);
    assert!(
        told(&model) == "NO_ROUTE_TO_DESTINATION is repaired. Now HOST_IP_FORWARD_OFF is in the way.",
        "{}",
        told(&model)
    );
}

#[test]
fn a_repair_that_lets_more_pass_is_agreed_to_in_letters() {
    let mut model = full(&Ailment::Group);
    press(&mut model, "f");
    assert!(press(&mut model, "y").is_empty());
    assert!(press(&mut model, "Enter").is_empty(), "y is not yes");
    type_in(&mut model, "es");
    assert!(run_of(&press(&mut model, "Enter")).is_some());
}

#[test]
fn a_repair_that_failed_shows_its_error_and_what_to_do() {
    let mut model = full(&Ailment::Route);
    let failure = Failure::new("repair", "InvalidNetworkInterfaceID.NotFound");
    repair(&mut model, RunEnd::Failed(vec![("repair".to_owned(), failure)]));
    let Aftermath::Failed { failure, .. } = &model.inquiry.aftermath else { panic!("{:?}", model.inquiry.aftermath) };
    assert_eq!(failure.reason, "InvalidNetworkInterfaceID.NotFound");
    assert_eq!(failure.next_move.as_deref(), Some("2 shows the step; Enter there tries again"));
    press(&mut model, "2");
    let (generation, _) = run_of(&press(&mut model, "Enter")).unwrap();
    update(&mut model, Message::RunEnded { generation, end: RunEnd::Finished });
    let effects = observe(&mut model, network(Stage::Provisioned));
    answer_diagnoses(&mut model, effects, &Ailment::None);
    assert_eq!(told(&model), "Repaired: Private-Instance-0 leaves through 3.64.126.205.");
    let failures: Vec<_> = model.inquiry.tried.iter().map(|tried| tried.failure.is_some()).collect();
    assert_eq!(failures, [true, false]);
}

#[test]
fn a_repair_that_was_taken_back_is_not_called_repaired() {
    let mut model = full(&Ailment::Route);
    repair(&mut model, RunEnd::Finished);
    let effects = observe(&mut model, network(Stage::Provisioned));
    answer_diagnoses(&mut model, effects, &Ailment::None);
    press(&mut model, "2");
    press(&mut model, "u");
    let effects = press(&mut model, "y");
    let Some(Effect::UndoLast { generation, .. }) = effects.first() else { panic!("{effects:?}") };
    update(&mut model, Message::RunEnded { generation: *generation, end: RunEnd::Undone });
    let effects = observe(&mut model, ailing(&Ailment::Route).0);
    answer_diagnoses(&mut model, effects, &Ailment::Route);
    assert_eq!((&model.inquiry.aftermath, model.inquiry.findings()), (&Aftermath::None, 1));
}

#[test]
fn a_repair_asks_before_the_console_is_quit() {
    let mut model = full(&Ailment::Route);
    press(&mut model, "f");
    press(&mut model, "y");
    assert!(press(&mut model, "q").is_empty());
    assert!(matches!(model.overlay, Overlay::Dialog(Dialog::Quit)));
}

#[test]
fn a_cause_without_a_repair_says_why() {
    let mut model = full(&Ailment::Silence);
    assert!(press(&mut model, "f").is_empty());
    assert!(matches!(model.overlay, Overlay::Dialog(Dialog::NoRepair { .. })));
    press(&mut model, "y");
    assert!(matches!(model.overlay, Overlay::None));
}

#[test]
fn read_only_repairs_and_breaks_nothing() {
    let mut model = full(&Ailment::Route);
    model.identity.read_only = true;
    for key in ["f", "B"] {
        model.toasts.clear();
        assert!(press(&mut model, key).is_empty());
        assert!(matches!(model.overlay, Overlay::None));
        assert!(model.toasts.iter().any(|toast| toast.text.starts_with("Read-only")));
    }
}

#[test]
fn moving_goes_over_the_findings_and_never_scrolls_past_the_end() {
    for size in [(80, 24), (120, 40), (200, 60), (60, 15)] {
        let mut model = console_diagnosed(size, &Ailment::Host);
        press(&mut model, "Enter");
        for key in ["j", "j", "j", "j", "j", "j", "j", "j", "G", "k", "k", "g", "j", "Space", "G", "Space", "k", "g"] {
            press(&mut model, key);
            let (columns, rows) = model.layout().pane_size();
            let page = crate::tui::diagnosis::page(&model, columns, rows);
            let height = rows.saturating_sub(page.head.len());
            assert!(model.inquiry.top <= page.body.len().saturating_sub(height), "{size:?} {key}");
            assert!(model.inquiry.cursor < page.findings.len());
        }
        assert_eq!(model.inquiry.cursor, 0);
    }
}

#[test]
fn the_resource_and_the_document_of_a_diagnosis_are_copied() {
    let mut model = full(&Ailment::Route);
    assert!(press(&mut model, "c").contains(&Effect::Copy { text: PRIVATE_TABLE.to_owned() }));
    let effects = press(&mut model, "y");
    let Some(Effect::Copy { text }) = effects.first() else { panic!("{effects:?}") };
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(document["findings"][0]["code"], "NO_ROUTE_TO_DESTINATION");
    assert_eq!(document["findings"][0]["repair"]["changes"][0]["before"], "no route");
}

#[test]
fn drills_are_for_the_sandbox() {
    let mut model = wide();
    model.identity.world = crate::model::World::Aws;
    assert!(press(&mut model, "B").is_empty());
    assert!(model.toasts.iter().any(|toast| toast.text.contains("natdeck --sandbox")));
}

#[test]
fn a_surprise_is_not_named_before_it_is_found_and_is_over_when_it_is_mended() {
    let mut model = wide();
    select(&mut model, CLIENT_0);
    let effects = press(&mut model, "B");
    list_drills(&mut model, effects);
    let effects = press(&mut model, "Enter");
    let [Effect::Break { generation, causes, instance_id }, ..] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(instance_id.as_ref().map(InstanceId::as_str), Some(CLIENT_0));
    assert!(causes.len() > 1, "it is left to chance: {causes:?}");
    let said = "deleted 0.0.0.0/0".to_owned();
    let broken = Broken { cause: crate::reach::Cause::NoRoute, instance_id: instance_id.clone(), said };
    model.toasts.clear();
    update(&mut model, Message::Broke { generation: *generation, result: Ok(broken) });
    let badge = model.drills.badge(model.now).unwrap();
    assert!(badge.contains("something"), "{badge}");
    assert!(!model.toasts.iter().any(|toast| toast.text.contains("0.0.0.0")), "{:?}", model.toasts);
    observe(&mut model, ailing(&Ailment::Route).0);
    press(&mut model, "x");
    let effects = observe(&mut model, ailing(&Ailment::Route).0);
    answer_diagnoses(&mut model, effects, &Ailment::Route);
    assert!(model.drills.badge(model.now).unwrap().contains("NO_ROUTE_TO_DESTINATION"), "now it is found");
    repair(&mut model, RunEnd::Finished);
    let effects = observe(&mut model, network(Stage::Provisioned));
    answer_diagnoses(&mut model, effects, &Ailment::None);
    assert_eq!(model.drills.badge(model.now), None);
    assert!(
        model.toasts.iter().any(|toast| toast.text.contains("it was NO_ROUTE_TO_DESTINATION")),
        "{:?}",
        model.toasts
    );
}

#[test]
fn a_report_holds_the_answer_before_the_repair_and_the_one_after_it() {
    let mut model = full(&Ailment::Route);
    repair(&mut model, RunEnd::Finished);
    let effects = observe(&mut model, network(Stage::Provisioned));
    answer_diagnoses(&mut model, effects, &Ailment::None);
    assert!(press(&mut model, "ctrl-s").is_empty(), "it asks first");
    let effects = press(&mut model, "r");
    let [Effect::SaveReport { story, redact: true }] = &effects[..] else { panic!("{effects:?}") };
    let Story { first, tried, after } = story.as_ref();
    assert_eq!(first.diagnosis.findings.len(), 1);
    assert!(matches!(&tried[..], [tried] if tried.failure.is_none()));
    assert!(after.as_ref().is_some_and(|after| after.is_well()));
    update(&mut model, Message::ReportSaved(Ok("natdeck-i.md".to_owned())));
    assert!(model.toasts.iter().any(|toast| toast.text == "The report is in natdeck-i.md"));
}

#[test]
fn nothing_is_asked_while_a_repair_is_under_way() {
    let mut model = full(&Ailment::Route);
    press(&mut model, "f");
    press(&mut model, "y");
    assert!(press(&mut model, "x").is_empty());
    assert_eq!(model.inquiry.asking, Asking::Nothing);
}
