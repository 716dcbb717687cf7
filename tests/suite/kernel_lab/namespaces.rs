//! Shells in network namespaces of their own. Each namespace lives exactly as long as its shell, and each shell as long
//! as the pipe to it: a test that is killed leaves nothing behind.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What stands between a script's output and its exit code.
const DONE: &str = "natdeck-lab-done";

/// What a script printed (both streams) and its exit code.
#[derive(Debug, Clone)]
pub struct Ran {
    pub output: String,
    pub code: i32,
}

/// How namespaces are made: by root directly, by others inside one user namespace, which a keeper holds open.
pub struct Maker {
    keeper: Option<Child>,
}

impl Maker {
    pub fn new() -> Result<Self, String> {
        let probe = Command::new("unshare").args(["-n", "true"]).env("PATH", path()).output();
        if probe.is_ok_and(|output| output.status.success()) {
            return Ok(Self { keeper: None });
        }
        let keeper = Command::new("unshare")
            .args(["-Urm", "sh", "-c", "echo ready; read end"])
            .env("PATH", path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut keeper = keeper.map_err(|error| format!("unshare cannot be run: {error}"))?;
        let mut ready = [0; 5];
        if let Some(stdout) = keeper.stdout.as_mut()
            && stdout.read_exact(&mut ready).is_ok()
        {
            return Ok(Self { keeper: Some(keeper) });
        }
        finish(&mut keeper);
        Err("neither network nor user namespaces can be made".to_owned())
    }

    /// A command that runs in new network and mount namespaces.
    fn isolated(&self, program: &[&str]) -> Command {
        let mut words: Vec<String> = self.inside();
        words.extend(["unshare", "-nm"].map(str::to_owned));
        words.extend(program.iter().map(|word| (*word).to_owned()));
        command(&words)
    }

    fn inside(&self) -> Vec<String> {
        self.keeper.as_ref().map_or_else(Vec::new, |keeper| {
            let pid = keeper.id().to_string();
            ["nsenter", "-t", &pid, "--user", "--mount", "--preserve-credentials"].map(str::to_owned).to_vec()
        })
    }

    /// A shell in a new network namespace, with its own mounts.
    pub fn shell(&self, scratch: &Path) -> Shell {
        let mut child = self.isolated(&["bash", "--norc"]).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let script = scratch.join(format!("script-{}", child.id()));
        let mut shell = Shell { child, stdin, stdout, script };
        shell.must("mount -t sysfs none /sys; ip link set lo up");
        shell
    }

    /// A program that stays, in the network namespace of a shell. It has printed "ready" when this returns.
    pub fn server(&self, shell: &Shell, program: &[&str]) -> Server {
        let pid = shell.pid().to_string();
        let mut words = vec!["nsenter".to_owned(), "-t".to_owned(), pid, "--net".to_owned()];
        if self.keeper.is_some() {
            words.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        words.extend(program.iter().map(|word| (*word).to_owned()));
        let mut child = command(&words).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "{program:?} did not start");
        Server { child }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            finish(keeper);
        }
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_clear().env("PATH", path()).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// The path of this process, and where root's tools are.
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

fn finish(child: &mut Child) {
    drop(child.stdin.take());
    // It may have ended by itself.
    let _gone = child.kill();
    let _reaped = child.wait();
}

/// A program in a namespace, ended with the lab.
pub struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        finish(&mut self.child);
    }
}

/// A shell in a namespace.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    script: PathBuf,
}

impl Shell {
    /// The process that holds the namespace open.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts a script in a bash of its own; [`Shell::wait`] gets what it printed.
    pub fn start(&mut self, script: &str) {
        std::fs::write(&self.script, script).unwrap();
        let script = self.script.display();
        let line = format!("timeout 60 bash {script} </dev/null 2>&1; printf '\\n{DONE} %s\\n' $?\n");
        self.stdin.write_all(line.as_bytes()).unwrap();
        self.stdin.flush().unwrap();
    }

    /// What the script that was started last printed.
    pub fn wait(&mut self) -> Ran {
        let mut output = String::new();
        loop {
            let before = output.len();
            let read = self.stdout.read_line(&mut output).unwrap();
            assert!(read > 0, "the shell of a namespace ended\n{output}");
            let code = output[before..].strip_prefix(DONE).map(|code| code.trim().parse().unwrap());
            if let Some(code) = code {
                // The marker, and the newline that was printed before it.
                output.truncate(before.saturating_sub(1));
                return Ran { output, code };
            }
        }
    }

    pub fn run(&mut self, script: &str) -> Ran {
        self.start(script);
        self.wait()
    }

    /// Runs what sets the lab up.
    pub fn must(&mut self, script: &str) -> String {
        let ran = self.run(&format!("set -e\n{script}"));
        assert_eq!(ran.code, 0, "the lab could not be set up:\n{script}\n---\n{}", ran.output);
        ran.output
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        finish(&mut self.child);
        // The lab's scratch directory goes as a whole.
        let _gone = std::fs::remove_file(&self.script);
    }
}
