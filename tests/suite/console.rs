//! The console in a real terminal, by keys alone.

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::support::Home;

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

/// A natdeck in a pseudo-terminal, and what its screen shows.
struct Console {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Console {
    fn start(home: &Home, columns: u16, rows: u16, arguments: &[&str]) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_natdeck"));
        command.args(arguments);
        command.env_clear();
        command.env("HOME", home.path());
        command.env("XDG_STATE_HOME", home.path().join("state"));
        command.env("TERM", "xterm-256color");
        command.cwd(home.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 65536];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { child, keys, master: pair.master, screen }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the screen shows `wanted`.
    fn see(&self, wanted: &str) {
        self.see_that(&format!("'{wanted}' is shown"), |text| text.contains(wanted));
    }

    fn see_that(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds(&self.text()) {
            assert!(Instant::now() < deadline, "never: {what}. The screen:\n{}", self.text());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits for the end of the process and gives its exit code.
    fn ended(&mut self) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < deadline, "it did not end. The screen:\n{}", self.text());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Whether the terminal is as it was: main screen, cursor shown, no mouse, no bracketed paste.
    fn restored(&self) {
        self.see_that("the terminal is given back", |_| true);
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            if !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
            {
                return;
            }
            drop(parser);
            assert!(Instant::now() < deadline, "the terminal is not given back");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// The whole job by keys: no egress, provision, via NAT, tear down.
fn whole_job(columns: u16, rows: u16) {
    let home = Home::new();
    let mut console = Console::start(&home, columns, rows, &["--sandbox"]);
    console.see("nat-test");
    console.keys("T");
    console.see("no egress");
    console.keys("p");
    console.see("NAT instance");
    console.keys("a");
    console.see_that("the run is confirmed or under way", |text| {
        text.contains("y") || text.contains("running") || text.contains("done")
    });
    console.keys("y");
    console.see("all steps are done");
    console.keys("T");
    console.see("via NAT");
    // ctrl-d: the teardown asks for the stack's name; Enter alone does nothing.
    console.keys("\u{4}");
    console.see("natdeck");
    console.keys("\r");
    console.keys("natdeck\r");
    console.see("all steps are done");
    console.keys("T");
    console.see("no egress");
    console.keys("q");
    assert_eq!(console.ended(), 0);
    console.restored();
    drop(console);
    let tree = home.json(0, &["--sandbox", "tree", "--output", "json"]);
    assert!(!tree.to_string().contains("natdeck:stack\":\"natdeck\"") || tree.to_string().contains("terminated"));
}

#[test]
fn the_whole_job_by_keys_at_80x24() {
    whole_job(80, 24);
}

#[test]
fn the_whole_job_by_keys_at_200x60() {
    whole_job(200, 60);
}

#[test]
fn the_terminal_is_given_back_on_a_signal() {
    for signal in ["-TERM", "-HUP"] {
        let home = Home::new();
        let mut console = Console::start(&home, 100, 30, &["--sandbox"]);
        console.see("nat-test");
        console.signal(signal);
        console.ended();
        console.restored();
    }
}

#[test]
fn a_terminal_that_is_too_small_gets_a_notice_and_the_console_comes_back() {
    let home = Home::new();
    let mut console = Console::start(&home, 50, 10, &["--sandbox"]);
    console.see("60");
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    console.screen.lock().unwrap().screen_mut().set_size(cells(24), cells(80));
    console.master.resize(size).unwrap();
    console.see("nat-test");
    console.keys("q");
    assert_eq!(console.ended(), 0);
}

#[test]
fn the_first_frame_is_there_before_any_answer_and_keys_answer_while_aws_is_slow() {
    let home = Home::new();
    home.expect(0, &["--sandbox", "tree"]);
    let started = Instant::now();
    let mut console = Console::start(&home, 120, 40, &["--sandbox", "--sandbox-fault", "latency=5s"]);
    console.see("natdeck");
    // A debug build on a busy machine; the benchmark holds the release build to 100 ms.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    console.keys("?");
    console.see_that("help is shown while nothing has answered", |text| text.to_lowercase().contains("help"));
    console.keys("\u{1b}");
    console.keys("q");
    assert_eq!(console.ended(), 0);
    assert!(started.elapsed() < Duration::from_secs(8), "quitting does not wait for AWS: {:?}", started.elapsed());
}

#[test]
fn read_only_keys_change_nothing_and_say_why() {
    let home = Home::new();
    let mut console = Console::start(&home, 120, 40, &["--sandbox", "--read-only"]);
    console.see("READ-ONLY");
    console.see("nat-test");
    console.keys("p");
    console.keys("a");
    console.keys("y");
    console.see_that("it says why", |text| text.to_lowercase().contains("read-only"));
    console.keys("\u{4}natdeck\r");
    console.keys("\u{1b}q");
    console.ended();
    let tree = home.json(0, &["--sandbox", "tree", "--output", "json"]);
    assert!(!tree.to_string().contains("natdeck:stack"), "nothing was made");
}
