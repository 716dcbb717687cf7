//! The command line, as clap reads it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::Ipv4Net;

use crate::model::{InstanceId, VpcId};
use crate::reach::Cause;

/// A terminal operations console for NAT instances on AWS
///
/// Without a command it opens the console. With --sandbox everything happens in the AWS inside this program: no
/// account, no cost.
#[derive(Debug, Parser)]
#[command(name = "natdeck", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Where natdeck is pointed and how it speaks. Accepted before and after the command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Work in the embedded sandbox instead of AWS
    #[arg(long, global = true, env = "NATDECK_SANDBOX", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "World")]
    pub sandbox: bool,
    /// What a new sandbox starts with (default: draft)
    #[arg(long, global = true, value_enum, value_name = "NAME", help_heading = "World")]
    pub scenario: Option<ScenarioName>,
    /// The file that keeps the sandbox's world [default: natdeck/sandbox.json in the XDG state directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = "World")]
    pub sandbox_state: Option<PathBuf>,
    /// Make the sandbox misbehave: throttle=30%, lost=5%, consistency=2s, latency=200ms, deny=ec2:CreateRoute
    #[arg(long, global = true, value_name = "FAULT", help_heading = "World")]
    pub sandbox_fault: Vec<String>,
    /// Another course of the sandbox's chance: which requests a fault meets, which addresses a new world gives out
    #[arg(long, global = true, value_name = "NUMBER", help_heading = "World")]
    pub sandbox_seed: Option<u64>,
    /// How long everything takes in the sandbox: 1 is a fraction of a second, 0 no time, 100 about as long as on AWS
    #[arg(long, global = true, value_name = "FACTOR", value_parser = time_scale, help_heading = "World")]
    pub time_scale: Option<f64>,
    /// Named profile of the AWS configuration
    #[arg(long, global = true, value_name = "NAME", help_heading = "World")]
    pub profile: Option<String>,
    /// AWS region
    #[arg(long, global = true, value_name = "NAME", help_heading = "World")]
    pub region: Option<String>,
    /// Send every call to this endpoint instead of AWS
    #[arg(long, global = true, value_name = "URL", help_heading = "World")]
    pub endpoint_url: Option<String>,
    /// Answer from an incident report instead of AWS: the file that `diagnose --report` wrote, or its JSON
    ///
    /// The console, `tree`, `diagnose` and `plan --destroy` work on what the report holds, as of the time when it was
    /// taken. Nothing is asked and nothing can change.
    #[arg(long, global = true, value_name = "FILE", help_heading = "World")]
    pub snapshot: Option<PathBuf>,
    /// With --snapshot: the state after the repairs of `diagnose --fix`, not the one before them
    #[arg(long, global = true, help_heading = "World")]
    pub after: bool,
    /// The stack: what one provisioning made, named by the tag natdeck:stack [default: natdeck]
    #[arg(long, global = true, value_name = "NAME", help_heading = "World")]
    pub stack: Option<String>,
    /// Refuse every call that could change anything, before it is sent
    #[arg(long, global = true, env = "NATDECK_READ_ONLY", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Behaviour")]
    pub read_only: bool,
    /// Write diagnostics to this file
    #[arg(long, global = true, value_name = "FILE", help_heading = "Behaviour")]
    pub log_file: Option<PathBuf>,
    /// Print every API call to standard error; twice: with the equivalent aws CLI line
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Behaviour")]
    pub verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", help_heading = "Behaviour")]
    pub color: Color,
    /// Colours of the console [default: by the terminal]
    #[arg(long, global = true, value_enum, value_name = "NAME", help_heading = "Behaviour")]
    pub theme: Option<ThemeName>,
}

fn time_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.0..=1000.0).contains(&factor) => Ok(factor),
        _ => Err("expected a number from 0 to 1000".to_owned()),
    }
}

/// The worlds that a sandbox can start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScenarioName {
    /// No VPC at all
    Empty,
    /// The article's VPC, subnets, SSM and private instances, and no NAT yet
    Draft,
    /// The draft with the article's finished NAT instance
    Article,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

/// The console's themes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ThemeName {
    Dark,
    Light,
    /// The terminal's own 16 colours
    Ansi16,
}

/// How a document is printed on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Text,
    /// One JSON document with "version": 1
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the VPCs, their subnets, route tables, NAT and instances
    Tree(TreeArguments),
    /// Show what apply would do
    Plan(PlanArguments),
    /// Build the NAT, or what is missing of it; the same command again resumes
    Apply(ApplyArguments),
    /// Remove everything that carries the stack's tag
    Destroy(DestroyArguments),
    /// Ask the private instances which address the outside sees, and compare it with the NAT's
    Check(CheckArguments),
    /// Say why an instance does not get out, and what restores it
    Diagnose(DiagnoseArguments),
    /// The sandbox itself
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// Print the least IAM policy that natdeck itself needs
    IamPolicy,
    /// Print a completion script
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub struct TreeArguments {
    /// Only this VPC
    #[arg(long, value_name = "ID")]
    pub vpc: Option<VpcId>,
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
}

/// What to build. Flags win over the file, the file over the defaults, which are the article's.
#[derive(Debug, Clone, Default, Args)]
pub struct SpecArguments {
    /// A TOML file with what to build
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// Build in this VPC instead of looking for one with the wanted range
    #[arg(long, value_name = "ID")]
    pub vpc: Option<VpcId>,
    /// Range of the VPC [default: 10.8.0.0/16]
    #[arg(long, value_name = "CIDR")]
    pub vpc_cidr: Option<Ipv4Net>,
    /// Range of the public subnet [default: 10.8.1.0/24]
    #[arg(long, value_name = "CIDR")]
    pub public_subnet_cidr: Option<Ipv4Net>,
    /// Range of the private subnet [default: 10.8.2.0/24]
    #[arg(long, value_name = "CIDR")]
    pub private_subnet_cidr: Option<Ipv4Net>,
    /// Availability zone of both subnets
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Instance type of the NAT and of the private instances [default: t4g.nano]
    #[arg(long, value_name = "TYPE")]
    pub instance_type: Option<String>,
    /// Image: an AMI id or an SSM parameter [default: the newest Amazon Linux 2023]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// How the NAT stands in the VPC [default: second-interface]
    #[arg(long, value_enum, value_name = "NAME")]
    pub topology: Option<TopologyName>,
    /// Give the NAT an Elastic IP, which it keeps when stopped
    #[arg(long)]
    pub elastic_ip: bool,
    /// Make no SSM endpoints: SSM goes out through the NAT and dies with it
    #[arg(long)]
    pub no_ssm_endpoints: bool,
    /// How many private instances to launch where there are none [default: 2]
    #[arg(long, value_name = "N")]
    pub private_instances: Option<u32>,
    /// Key pair for SSH to the NAT (SSH is off by default)
    #[arg(long, value_name = "NAME")]
    pub ssh_key: Option<String>,
    /// Where SSH to the NAT may come from
    #[arg(long, value_name = "CIDR")]
    pub ssh_cidr: Option<Ipv4Net>,
}

/// How the NAT stands in the VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopologyName {
    /// The article's: a second interface in the private subnet
    SecondInterface,
    /// The one that AWS documents: one interface, in the public subnet
    SingleInterface,
}

#[derive(Debug, Args)]
pub struct PlanArguments {
    #[command(flatten)]
    pub spec: SpecArguments,
    /// Plan the teardown of the stack instead
    #[arg(long)]
    pub destroy: bool,
    /// Exit with 1 when there is something to do
    #[arg(long)]
    pub detailed_exitcode: bool,
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct ApplyArguments {
    #[command(flatten)]
    pub spec: SpecArguments,
    /// Do it without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Begin without asking AWS first whether it would allow every step
    #[arg(long)]
    pub no_preflight: bool,
    /// When a step fails, take back what this run did
    #[arg(long)]
    pub undo_on_failure: bool,
}

#[derive(Debug, Args)]
pub struct DestroyArguments {
    /// Do it without asking for the stack's name
    #[arg(long, short)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct DiagnoseArguments {
    /// The instance that does not get out
    #[arg(value_name = "INSTANCE")]
    pub instance: InstanceId,
    /// Where to, instead of the services that tell an instance its address: HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    pub to: Option<String>,
    /// Repair what is found, one after the other, asking before each
    #[arg(long)]
    pub fix: bool,
    /// Do not ask
    #[arg(long, short, requires = "fix")]
    pub yes: bool,
    /// Keep everything in this file for others and for later: Markdown with the snapshot at its end, or JSON where the name ends in .json
    ///
    /// The report tells verdict, path, causes with evidence and repairs, what could not be seen, the packet test, the
    /// API calls and, with --fix, what was repaired and how it is afterwards. `natdeck --snapshot FILE` opens it without
    /// AWS; it answers as before the repairs, or with --after as after them. The file is written whole or not at all,
    /// readable by its owner alone, and replaces no other unless --overwrite is given.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Put stand-ins for account numbers, addresses and people into the report
    ///
    /// Replaced, the same thing by the same stand-in all through the file: account numbers (000000000001, …); IPv4 and
    /// IPv6 addresses and ranges wherever they stand, host names such as ip-10-0-1-5 and output of hosts included;
    /// users, roles and sessions of callers, mail addresses and access key ids. Addresses that shared a prefix still do,
    /// private ones stay in their private range and keep their last eight bits, so that the report answers as the
    /// original does; ranges that mean something (0.0.0.0/0, loopback, link-local, multicast) stay. Taken out: profile
    /// and key pair names, values of tags other than Name and natdeck's own. Not replaced: identifiers (i-…, vpc-…),
    /// Name tags, MAC addresses, host names without an address, names and descriptions of groups and instance profiles.
    /// In 192.168.0.0/16 little room is left for stand-ins: an address may keep its third number too. What is printed on
    /// the terminal is not redacted.
    #[arg(long, requires = "report")]
    pub redact: bool,
    /// Let the report replace a file
    #[arg(long, requires = "report")]
    pub overwrite: bool,
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Instances to ask [default: every private instance and the NATs they use]
    #[arg(value_name = "INSTANCE")]
    pub instances: Vec<InstanceId>,
    /// Only instances of this VPC
    #[arg(long, value_name = "ID")]
    pub vpc: Option<VpcId>,
    /// Every private instance and the NATs they use, which is also the default
    #[arg(long, conflicts_with = "instances")]
    pub all: bool,
    /// Say why, once for all instances that share their way out: the first cause, what is behind it, and the repairs
    ///
    /// Instances share their fate when they have the same subnet and groups and lie in the same of all ranges that tables,
    /// rules and hosts name. Each NAT host is asked once for its settings. One instance of each fate sends a packet; the
    /// others go with it, are marked as not asked, and have its verdict. More are asked where it cannot stand for them:
    /// SSM does not reach it, or it fails for a reason of its own. An instance that gets nothing is asked for its own
    /// settings. SSM takes 50 instances for each command, so that a region with 2,000 instances in 40 subnets takes a few
    /// commands and not a hundred.
    #[arg(long, conflicts_with = "watch")]
    pub explain: bool,
    /// With --explain: which instances send a packet
    #[arg(long, value_enum, default_value_t, value_name = "WHICH", requires = "explain")]
    pub tests: TestsName,
    /// Check again and again, and tell each change with what changed in the VPC; until ctrl-c
    #[arg(long, value_name = "INTERVAL", value_parser = interval)]
    pub watch: Option<Duration>,
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
}

/// Which instances of an audit send a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum TestsName {
    /// None: what the snapshot and the NAT hosts say. Nothing is proved to get out, so that the answer is never 0
    None,
    /// One of each fate, and more where it cannot stand for the others
    #[default]
    One,
    /// Every instance, 50 for each command
    Every,
}

/// `30s`, `5m`, `1m 30s`: at least a second, at most a day.
fn interval(text: &str) -> Result<Duration, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|_| "examples: 30s, 5m, 1m30s".to_owned())?;
    let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let duration = Duration::try_from(duration).ok().filter(|duration| range.contains(duration));
    duration.ok_or_else(|| "it is at least 1s and at most a day".to_owned())
}

#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Answer the aws CLI, boto3, Terraform and other consoles on a port of this machine, until ctrl-c
    Serve(ServeArguments),
    /// Throw the sandbox's world away and start again from a scenario
    Reset,
    /// Open a shell on a simulated host; without a terminal, run the script on standard input there
    Shell(ShellArguments),
    /// Break egress in the sandbox by one cause, to practise on
    Break(BreakArguments),
    /// List the causes that `break` knows
    Causes(CausesArguments),
}

#[derive(Debug, Args)]
pub struct BreakArguments {
    /// A cause as `sandbox causes` lists it, such as HOST_IP_FORWARD_OFF; case does not matter
    #[arg(value_name = "CAUSE", value_parser = cause)]
    pub cause: Cause,
    /// The private instance whose egress breaks [default: the first that has a NAT instance]
    #[arg(long, value_name = "ID")]
    pub instance: Option<InstanceId>,
    /// Do not say what was done, for whoever is to find out
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct CausesArguments {
    /// The format on standard output
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub output: Output,
}

fn cause(text: &str) -> Result<Cause, String> {
    let (code, suffix) = text.split_once(':').map_or((text, None), |(code, suffix)| (code, Some(suffix)));
    let name = match suffix {
        Some(suffix) => format!("{}:{}", code.to_ascii_uppercase(), suffix.to_ascii_lowercase()),
        None => code.to_ascii_uppercase(),
    };
    Cause::parse(&name).ok_or_else(|| "no such cause; `natdeck sandbox causes` lists them".to_owned())
}

#[derive(Debug, Args)]
pub struct ShellArguments {
    /// The instance's id, or its Name where only one instance has it
    #[arg(value_name = "INSTANCE")]
    pub instance: String,
}

#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4566")]
    pub listen: std::net::SocketAddr,
    /// Listen on an address that other machines can reach: anybody there can use this sandbox, with any credentials
    #[arg(long)]
    pub allow_remote: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_flags_are_accepted_after_the_command() {
        let arguments = Arguments::try_parse_from(["natdeck", "check", "--sandbox", "--output", "json"]).unwrap();
        assert!(arguments.global.sandbox);
    }

    #[test]
    fn an_interval_is_read_as_people_write_it() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1m30s", 90), ("1 minute 30 seconds", 90)] {
            assert_eq!(interval(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "30", "0s", "-5s", "2 days", "soon"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let error = Arguments::try_parse_from(["natdeck", "tree", "--vpc", "subnet-0a1b2c3d"]).unwrap_err();
        assert!(error.to_string().contains("is not a VPC id"), "{error}");
    }
}
