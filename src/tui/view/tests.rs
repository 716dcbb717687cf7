use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::*;
use crate::model::{CallOutcome, Part, Unknown, World};
use crate::plan::PlanKind;
use crate::reach::{CheckProgress, Verdict};
use crate::saga::Event;
use crate::tui::effect::Effect;
use crate::tui::message::{Failure, Message, RunEnd};
use crate::tui::testing::*;
use crate::tui::theme::Depth;
use crate::tui::update::update;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn theme(name: &str) -> Theme {
    Theme::named(name, Depth::True).unwrap()
}

fn buffer(model: &Model, theme: &Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, theme, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text, without the spaces at the ends of lines.
fn screen(model: &Model) -> String {
    let buffer = buffer(model, &theme("ansi16"));
    let row = |y| (0..model.size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..model.size.1).map(|y| row(y).trim_end().to_owned() + "\n").collect()
}

/// The first cell of a text on the screen.
fn cell(buffer: &Buffer, text: &str) -> Cell {
    let area = buffer.area();
    for y in 0..area.height {
        let row: Vec<&str> = (0..area.width).map(|x| buffer[(x, y)].symbol()).collect();
        for x in 0..area.width {
            if row[usize::from(x)..].concat().starts_with(text) {
                return buffer[(x, y)].clone();
            }
        }
    }
    panic!("'{text}' is not on the screen");
}

fn at_sizes(name: &str, make: impl Fn((u16, u16)) -> Model) {
    for size in SIZES {
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), screen(&make(size)));
    }
}

fn provisioned(size: (u16, u16)) -> Model {
    let mut model = console_with(size, network(Stage::Provisioned));
    model.toasts.clear();
    model
}

fn with_checks(size: (u16, u16)) -> Model {
    let mut model = provisioned(size);
    let effects = press(&mut model, "T");
    for effect in effects {
        if let Effect::Check { generation, .. } = effect {
            for (id, verdict) in
                [(NAT, Verdict::ViaNat), (CLIENT_0, Verdict::NoEgress), (CLIENT_1, Verdict::CannotTest)]
            {
                let progress = CheckProgress::Answered(Box::new(result(id, verdict)));
                update(&mut model, Message::Check { generation, progress });
            }
            update(&mut model, Message::CheckEnded { generation, result: Ok(()) });
        }
    }
    model.toasts.clear();
    press(&mut model, "3");
    press(&mut model, "j");
    model
}

/// A plan whose third step has just failed.
fn with_steps(size: (u16, u16)) -> Model {
    let mut model = console_with(size, network(Stage::Draft));
    let [Effect::PlanProvision { generation, .. }] = press(&mut model, "p")[..] else { panic!() };
    update(&mut model, Message::Planned { generation, result: Ok(Box::new(prepared(PlanKind::Provision))) });
    press(&mut model, "a");
    let effects = press(&mut model, "y");
    let [Effect::Run { generation, .. }] = &effects[..] else { panic!() };
    let generation = *generation;
    for (second, event) in [
        (1, Event::StepStarted { id: "nat-group".to_owned() }),
        (2, Event::StepSucceeded { id: "nat-group".to_owned(), output: crate::plan::Output::None }),
        (2, Event::StepStarted { id: "second-interface".to_owned() }),
        (5, Event::StepFailed { id: "second-interface".to_owned(), error: String::new() }),
    ] {
        model.now = at(second);
        update(&mut model, Message::Run { generation, event });
    }
    let failure = Failure::new("create", "InvalidGroup.NotFound: The security group 'sg-0a1' does not exist")
        .with_next_move("run it again: what was just made is not seen everywhere at once");
    let end = RunEnd::Failed(vec![("second-interface".to_owned(), failure)]);
    update(&mut model, Message::RunEnded { generation, end });
    model.toasts.clear();
    model
}

#[test]
fn the_first_frame_stands_before_any_answer() {
    at_sizes("first_frame", console);
}

#[test]
fn the_article_is_a_tree_with_its_vpc_in_detail() {
    at_sizes("tree", provisioned);
}

#[test]
fn the_way_out_is_drawn_hop_by_hop() {
    at_sizes("way_out", |size| {
        let mut model = provisioned(size);
        select(&mut model, CLIENT_0);
        let effects = press(&mut model, "d");
        answer_walks(&mut model, effects, true);
        model
    });
}

#[test]
fn a_diagnosis_shows_verdict_path_and_every_cause() {
    for (name, ailment) in [
        ("route", Ailment::Route),
        ("host", Ailment::Host),
        ("warning", Ailment::Warning),
        ("silence", Ailment::Silence),
        ("blind", Ailment::Blind),
    ] {
        at_sizes(&format!("diagnosis_{name}"), |size| console_diagnosed(size, &ailment));
    }
}

#[test]
fn an_opened_report_says_that_it_is_offline_and_how_old_it_is() {
    at_sizes("snapshot", |size| {
        let mut model = console(size);
        model.settings.snapshot_of = Some(at(-36 * 3_600));
        model.settings.refresh_every_s = 0;
        crate::tui::update::start(&mut model);
        diagnose_client(&mut model, &Ailment::Host);
        model
    });
}

#[test]
fn a_finding_opens_to_its_evidence_and_its_repair() {
    at_sizes("diagnosis_evidence", |size| {
        let mut model = console_diagnosed(size, &Ailment::Host);
        press(&mut model, "Enter");
        model
    });
}

#[test]
fn a_repair_says_what_it_changes_before_it_asks() {
    for (name, ailment) in [("route", Ailment::Route), ("host", Ailment::Host), ("group", Ailment::Group)] {
        at_sizes(&format!("repair_{name}"), |size| {
            let mut model = console_diagnosed(size, &ailment);
            press(&mut model, "f");
            model
        });
    }
}

#[test]
fn a_report_asks_whether_it_is_to_be_redacted() {
    at_sizes("report", |size| {
        let mut model = console_diagnosed(size, &Ailment::Route);
        press(&mut model, "ctrl-s");
        model
    });
}

#[test]
fn a_watch_shows_how_it_went_beside_each_instance() {
    at_sizes("watch", |size| {
        let mut model = provisioned(size);
        press(&mut model, "W");
        for round in 0..12 {
            let ok = !(6..9).contains(&round);
            let verdict = if ok { Verdict::ViaNat } else { Verdict::NoEgress };
            update(&mut model, Message::Tick { now: at(31 * round) });
            for effect in observe(&mut model, network(Stage::Provisioned)) {
                let Effect::Check { generation, instance_ids, .. } = effect else { continue };
                for id in instance_ids {
                    let mut answer = result(id.as_str(), verdict);
                    answer.latency_ms = ok.then_some(40 + 9 * round.unsigned_abs());
                    update(
                        &mut model,
                        Message::Check { generation, progress: CheckProgress::Answered(Box::new(answer)) },
                    );
                }
                update(&mut model, Message::CheckEnded { generation, result: Ok(()) });
            }
        }
        model.toasts.clear();
        press(&mut model, "3");
        model
    });
}

#[test]
fn drills_are_a_menu_that_is_filtered_as_one_types() {
    at_sizes("drills", |size| {
        let mut model = provisioned(size);
        select(&mut model, CLIENT_0);
        let effects = press(&mut model, "B");
        list_drills(&mut model, effects);
        type_in(&mut model, "route");
        model
    });
}

#[test]
fn a_way_that_cannot_be_told_names_what_is_missing() {
    let mut model = provisioned((120, 40));
    select(&mut model, CLIENT_0);
    let effects = press(&mut model, "d");
    answer_walks(&mut model, effects, false);
    insta::assert_snapshot!(screen(&model));
}

#[test]
fn a_plan_shows_what_is_done_what_failed_and_the_next_move() {
    at_sizes("steps_failed", with_steps);
}

#[test]
fn checks_are_a_table_with_the_reason_below() {
    at_sizes("checks", with_checks);
}

#[test]
fn the_log_shows_calls_and_the_selected_ones_command() {
    at_sizes("log", |size| {
        let mut model = provisioned(size);
        let denied = CallOutcome::Error {
            code: "UnauthorizedOperation".to_owned(),
            message: "You are not authorized to perform this operation.".to_owned(),
        };
        let calls = vec![
            call(1, "DescribeVpcs", CallOutcome::Ok),
            call(2, "DescribeSubnets", CallOutcome::Ok),
            call(3, "CreateVpc", CallOutcome::Refused { reason: "read-only".to_owned() }),
            call(4, "DescribeVpcEndpoints", denied),
        ];
        update(&mut model, Message::Calls(calls));
        press(&mut model, "4");
        model
    });
}

#[test]
fn a_teardown_asks_for_the_name_and_says_where() {
    at_sizes("tear_down", |size| {
        let mut model = provisioned(size);
        let [Effect::PlanTeardown { generation, .. }] = press(&mut model, "ctrl-d")[..] else { panic!() };
        update(&mut model, Message::Planned { generation, result: Ok(Box::new(prepared(PlanKind::Teardown))) });
        press(&mut model, "a");
        type_in(&mut model, "nat-");
        model
    });
}

#[test]
fn help_is_made_from_the_keymap() {
    at_sizes("help", |size| {
        let mut model = provisioned(size);
        press(&mut model, "?");
        model
    });
}

#[test]
fn a_filter_shows_matches_below_their_ancestors() {
    let mut model = provisioned((120, 40));
    press(&mut model, "/");
    type_in(&mut model, "ssm");
    insta::assert_snapshot!(screen(&model));
}

#[test]
fn unknown_parts_stale_data_and_read_only_are_on_the_screen() {
    let mut network = network(Stage::Provisioned);
    network.vpc_endpoints = Part::unknown(Unknown::new("DescribeVpcEndpoints", "UnauthorizedOperation"));
    let mut model = console_with((120, 40), network);
    model.identity.read_only = true;
    model.identity.world = World::Aws;
    press(&mut model, "f");
    model.toasts.clear();
    update(&mut model, Message::Tick { now: at(125) });
    let text = screen(&model);
    for part in ["AWS", "READ-ONLY", "FROZEN 2 min ago", "stale, seen 2 min ago", "? 1 unknown", "unknown: DescribeVpc"]
    {
        assert!(text.contains(part), "'{part}' is missing:\n{text}");
    }
}

#[test]
fn changes_are_marked_beside_their_rows() {
    let mut model = console_with((120, 40), network(Stage::Draft));
    press(&mut model, "r");
    observe(&mut model, network(Stage::Provisioned));
    let text = screen(&model);
    let row = text.lines().find(|line| line.contains("● NAT-Instance")).unwrap();
    assert!(row.starts_with("│+"), "{row}");
    press(&mut model, "r");
    observe(&mut model, network(Stage::Draft));
    let text = screen(&model);
    let row = text.lines().find(|line| line.contains("● NAT-Instance")).unwrap();
    assert!(row.starts_with("│-"), "{row}");
}

#[test]
fn a_small_terminal_gets_a_notice_with_the_size_it_needs() {
    for size in [(59, 24), (80, 14), (1, 1), (0, 0), (20, 2)] {
        let mut model = provisioned(size);
        model.size = size;
        let text = screen(&model);
        assert!(size.0 < 30 || text.contains("at least 60 x 15"), "{text}");
    }
    assert!(!screen(&provisioned((60, 15))).contains("larger terminal"));
}

#[test]
fn no_size_and_no_screen_makes_it_panic() {
    for size in [(60, 15), (61, 16), (99, 15), (100, 15), (133, 17)] {
        let diagnosed = |size| console_diagnosed(size, &Ailment::Host);
        for make in [provisioned, with_checks, with_steps, diagnosed] {
            let mut model = make(size);
            for key in [
                "f", "Esc", "B", "r", "Esc", "x", "Enter", "j", "Space", "1", "2", "3", "4", "+", "?", "Esc", "y",
                "Tab", "G", "g", "/", "a", "Esc",
            ] {
                press(&mut model, key);
                screen(&model);
            }
        }
    }
}

#[test]
fn the_world_and_the_verdicts_have_their_colours() {
    for (name, sandbox, bad) in [
        ("dark", Color::Rgb(0x56, 0xd4, 0xdd), Color::Rgb(0xff, 0x7b, 0x72)),
        ("light", Color::Rgb(0x0f, 0x7b, 0x85), Color::Rgb(0xc2, 0x1f, 0x2f)),
        ("ansi16", Color::Cyan, Color::Red),
    ] {
        let mut model = with_checks((120, 40));
        // Off the row that is looked at: a selected row has the selection's style.
        press(&mut model, "g");
        let buffer = buffer(&model, &theme(name));
        assert_eq!(cell(&buffer, "SANDBOX").bg, sandbox, "{name}");
        assert_eq!(cell(&buffer, "✗ no egress").fg, bad, "{name}");
    }
}

#[test]
fn without_colour_nothing_is_coloured_and_everything_is_told_by_symbols() {
    let plain = Theme::named("dark", Depth::None).unwrap();
    let model = with_checks((120, 40));
    let buffer = buffer(&model, &plain);
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(cell(&buffer, "SANDBOX").modifier.contains(Modifier::REVERSED));
    let text = screen(&model);
    for sign in ["✓ via NAT", "✗ no egress", "? cannot test"] {
        assert!(text.contains(sign), "{sign}");
    }
}

#[test]
fn a_name_that_would_steer_the_terminal_is_drawn_harmless() {
    let mut network = network(Stage::Provisioned);
    let nat = network.instances.items_mut().get_mut(NAT).unwrap();
    nat.tags = [("Name", "a\u{1b}[31mb\u{202e}c\nd")].into_iter().collect();
    let mut model = console_with((120, 40), network);
    select(&mut model, NAT);
    press(&mut model, "y");
    let text = screen(&model);
    assert!(text.contains("a\u{fffd}[31mb\u{fffd}c\u{fffd}d"), "{text}");
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'));
}

#[test]
fn a_frame_over_ten_thousand_interfaces_builds_only_the_window() {
    let mut model = console_with((200, 60), crowded(10_000));
    select(&mut model, &format!("eni-1{:016x}", 5_000));
    press(&mut model, "k");
    let theme = theme("dark");
    let mut terminal = Terminal::new(TestBackend::new(200, 60)).unwrap();
    let mut frame_ms = f64::MAX;
    for _ in 0..10 {
        let begun = std::time::Instant::now();
        terminal.draw(|frame| view(&model, &theme, frame)).unwrap();
        frame_ms = frame_ms.min(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    // The product's limit is 2 ms optimised; a debug build on a loaded machine gets room.
    assert!(frame_ms < 40.0, "a frame took {frame_ms:.1} ms");
}
