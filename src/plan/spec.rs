//! What is wanted: the article's environment, with every value that may differ. Pure.

use std::fmt;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::model::{ImageId, VpcId};

/// Which interface of the NAT instance the private subnet's default route names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// The article's: a second interface in the private subnet.
    #[default]
    SecondInterface,
    /// The one that AWS documents: the instance's only interface, in the public subnet.
    SingleInterface,
}

impl Topology {
    /// How many network interfaces the NAT instance has.
    pub fn interfaces(self) -> u32 {
        match self {
            Self::SecondInterface => 2,
            Self::SingleInterface => 1,
        }
    }

    /// As in a spec file: `second_interface`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecondInterface => "second_interface",
            Self::SingleInterface => "single_interface",
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What to build. The default is the article's environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// The stack's name: value of the tag `natdeck:stack`, and the beginning of every `Name`.
    pub name: String,
    /// Where to put the subnets: `eu-central-1b`. `None`: where the existing subnet is, or else the region's first.
    pub zone: Option<String>,
    pub vpc_cidr: Ipv4Net,
    pub public_subnet_cidr: Ipv4Net,
    pub private_subnet_cidr: Ipv4Net,
    /// Of the NAT instance and of private instances that are made.
    pub instance_type: String,
    /// How many private instances there are when the private subnet is made. An existing subnet keeps what it has.
    pub private_instances: u32,
    /// An SSM public parameter (`/aws/service/…`) or an image (`ami-…`). `None`: the newest Amazon Linux 2023 for the
    /// instance type's architecture.
    pub image: Option<String>,
    pub topology: Topology,
    /// Whether the NAT gets an Elastic IP, which survives stop and start, instead of an address assigned at launch.
    pub elastic_ip: bool,
    /// Whether the VPC gets interface endpoints, so that SSM works without egress.
    pub ssm_endpoints: bool,
    /// An existing key pair for SSH to the NAT. `None`: no SSH.
    pub key_name: Option<String>,
    /// Who may reach port 22 of the NAT. `None`: nobody.
    pub ssh_cidr: Option<Ipv4Net>,
    /// Take this VPC instead of looking for one by its range.
    pub vpc_id: Option<VpcId>,
}

impl Default for Spec {
    fn default() -> Self {
        let net = |third: u8, prefix_len: u8| {
            Ipv4Net::new(std::net::Ipv4Addr::new(10, 8, third, 0), prefix_len).unwrap_or_default()
        };
        Self {
            name: "natdeck".to_owned(),
            zone: None,
            vpc_cidr: net(0, 16),
            public_subnet_cidr: net(1, 24),
            private_subnet_cidr: net(2, 24),
            instance_type: "t4g.nano".to_owned(),
            private_instances: 2,
            image: None,
            topology: Topology::default(),
            elastic_ip: false,
            ssm_endpoints: true,
            key_name: None,
            ssh_cidr: None,
            vpc_id: None,
        }
    }
}

/// A spec file that could not be read. The message names the line and the field.
#[derive(Debug, thiserror::Error)]
#[error("the spec cannot be read: {0}")]
pub struct SpecFileError(String);

/// One field that cannot be as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}; {next_move}")]
pub struct SpecError {
    /// The field's name in the spec file.
    pub field: &'static str,
    pub problem: String,
    pub next_move: String,
}

/// The processor of an instance type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    Arm64,
    #[serde(rename = "x86_64")]
    X86_64,
}

impl Architecture {
    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// By the type's name: Graviton families carry a `g` among the letters behind the generation (`t4g`, `c7gn`,
    /// `im4gn`), and `a1` is the first of them.
    pub fn of_instance_type(instance_type: &str) -> Self {
        let family = instance_type.split('.').next().unwrap_or_default();
        let behind = family.trim_start_matches(|c: char| !c.is_ascii_digit());
        let attributes = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        if family == "a1" || attributes.contains('g') { Self::Arm64 } else { Self::X86_64 }
    }
}

/// Where the image's identifier comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    Image(ImageId),
    /// The name of an SSM public parameter whose value is the image's identifier.
    Parameter(String),
}

/// Longest stack name: `natdeck-nat-instance` and the like must fit IAM's 64 characters for a role.
const LONGEST_NAME: usize = 40;

impl Spec {
    /// Reads a TOML file's text. Fields that are left out have the article's value; unknown ones are refused.
    pub fn from_toml(text: &str) -> Result<Self, SpecFileError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            let place = line.map(|line| (line, text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim()));
            let message = error.message().trim().replace('\n', " ");
            SpecFileError(match place {
                Some((line, source)) if !source.is_empty() => format!("line {line}, '{source}': {message}"),
                Some((line, _)) => format!("line {line}: {message}"),
                None => message,
            })
        })
    }

    /// The spec as a TOML file that reads back as the same.
    pub fn to_toml(&self) -> Result<String, SpecFileError> {
        toml::to_string_pretty(self).map_err(|error| SpecFileError(error.to_string()))
    }

    /// The processor that the image must be for.
    pub fn architecture(&self) -> Architecture {
        Architecture::of_instance_type(&self.instance_type)
    }

    /// Where the image comes from, the default included.
    pub fn image_source(&self) -> ImageSource {
        match &self.image {
            Some(image) if image.starts_with(ImageId::PREFIX) => ImageSource::Image(ImageId::new(image.clone())),
            Some(parameter) => ImageSource::Parameter(parameter.clone()),
            None => ImageSource::Parameter(format!(
                "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}",
                self.architecture().as_str()
            )),
        }
    }

    /// Whether the values can be as they are, by themselves. Everything that is wrong, in the order of the fields.
    pub fn check(&self) -> Result<(), Vec<SpecError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &'static str, problem: String, next_move: &str| {
            errors.push(SpecError { field, problem, next_move: next_move.to_owned() });
        };

        let good_name = self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && self.name.len() <= LONGEST_NAME;
        if !good_name {
            let next = "use a lower-case letter, then up to 39 lower-case letters, digits and hyphens";
            wrong("name", format!("'{}' cannot name a stack", self.name), next);
        }
        if let Some(zone) = &self.zone
            && !is_zone(zone)
        {
            wrong("zone", format!("'{zone}' is not an availability zone"), "write it like eu-central-1b");
        }

        let ranges = [
            ("vpc_cidr", self.vpc_cidr),
            ("public_subnet_cidr", self.public_subnet_cidr),
            ("private_subnet_cidr", self.private_subnet_cidr),
        ];
        for (field, net) in ranges {
            if net.addr() != net.network() {
                wrong(field, format!("{net} has bits set behind its prefix"), &format!("write {}", net.trunc()));
            }
            if !(16..=28).contains(&net.prefix_len()) {
                wrong(field, format!("{net} is outside of what AWS takes"), "use a prefix from /16 to /28");
            }
        }
        // An adopted VPC's ranges are what AWS says, not what is written here.
        if self.vpc_id.is_none() {
            for (field, net) in ranges.into_iter().skip(1) {
                if !self.vpc_cidr.contains(&net) {
                    let next = format!("choose a range within {}", self.vpc_cidr);
                    wrong(field, format!("{net} is not inside vpc_cidr {}", self.vpc_cidr), &next);
                }
            }
        }
        if overlap(self.public_subnet_cidr, self.private_subnet_cidr) {
            let problem =
                format!("{} overlaps public_subnet_cidr {}", self.private_subnet_cidr, self.public_subnet_cidr);
            wrong("private_subnet_cidr", problem, "choose two ranges that share no address");
        }

        let parts: Vec<&str> = self.instance_type.split('.').collect();
        let good_type = parts.len() == 2
            && parts.iter().all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            });
        if !good_type {
            let problem = format!("'{}' is not an instance type", self.instance_type);
            wrong("instance_type", problem, "write it like t4g.nano");
        }
        if self.private_instances > 20 {
            let problem = format!("{} is more than this is made for", self.private_instances);
            wrong("private_instances", problem, "use 0 to 20");
        }
        if let Some(image) = &self.image {
            let is_image = image.starts_with(ImageId::PREFIX);
            if is_image && image.parse::<ImageId>().is_err() {
                wrong("image", format!("'{image}' is not an image id"), "write it like ami-0a1b2c3d4e5f60718");
            } else if !is_image && !image.starts_with('/') {
                let next = "use ami-… or the path of an SSM parameter, /aws/service/…";
                wrong("image", format!("'{image}' is neither an image nor a parameter"), next);
            }
        }
        if let Some(ssh_cidr) = self.ssh_cidr {
            if self.key_name.is_none() {
                let next = "set key_name to an existing key pair, or remove ssh_cidr and use SSM";
                wrong("ssh_cidr", format!("{ssh_cidr} would open port 22 to nobody who has a key"), next);
            }
            if ssh_cidr.addr() != ssh_cidr.network() {
                let next = format!("write {}", ssh_cidr.trunc());
                wrong("ssh_cidr", format!("{ssh_cidr} has bits set behind its prefix"), &next);
            }
        }
        if let Some(key_name) = &self.key_name
            && key_name.trim().is_empty()
        {
            wrong("key_name", "it is empty".to_owned(), "name an existing key pair, or remove the line");
        }
        if let Some(vpc_id) = &self.vpc_id
            && let Err(error) = vpc_id.as_str().parse::<VpcId>()
        {
            wrong("vpc_id", error.to_string(), "take it from `natdeck tree`");
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Whether two ranges share an address.
pub(super) fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// `eu-central-1b`, and local zones such as `us-west-2-lax-1a`: lower-case words and digits, the last a number and a
/// letter.
fn is_zone(text: &str) -> bool {
    let mut parts = text.split('-');
    let last = text.rsplit('-').next().unwrap_or_default();
    let number = last.trim_end_matches(|c: char| c.is_ascii_lowercase());
    text.matches('-').count() >= 2
        && parts.all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
        && last.len() == number.len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Spec)) -> Vec<&'static str> {
        let mut spec = Spec::default();
        change(&mut spec);
        spec.check().err().unwrap_or_default().into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn the_default_is_the_article_and_is_valid() {
        let spec = Spec::default();
        assert_eq!(spec.check(), Ok(()));
        assert_eq!(spec.vpc_cidr.to_string(), "10.8.0.0/16");
        assert_eq!(spec.public_subnet_cidr.to_string(), "10.8.1.0/24");
        assert_eq!(spec.private_subnet_cidr.to_string(), "10.8.2.0/24");
        assert_eq!(Spec::from_toml("").unwrap(), spec);
    }

    #[test]
    fn a_spec_reads_back_as_it_was_written() {
        let spec = Spec {
            zone: Some("eu-central-1b".into()),
            topology: Topology::SingleInterface,
            elastic_ip: true,
            ..Spec::default()
        };
        assert_eq!(Spec::from_toml(&spec.to_toml().unwrap()).unwrap(), spec);
    }

    #[test]
    fn a_bad_spec_file_is_refused_with_its_line_and_field() {
        let unknown = Spec::from_toml("name = \"a\"\nvpc_cdir = \"10.0.0.0/16\"\n").unwrap_err().to_string();
        assert!(unknown.contains("line 2") && unknown.contains("vpc_cdir"), "{unknown}");
        let malformed = Spec::from_toml("vpc_cidr = \"10.0.0/16\"").unwrap_err().to_string();
        assert!(malformed.contains("line 1") && malformed.contains("vpc_cidr"), "{malformed}");
        assert!(!malformed.contains('\n'), "{malformed}");
        let broken = Spec::from_toml("\n\nname = ").unwrap_err().to_string();
        assert!(broken.contains("line 3"), "{broken}");
    }

    #[test]
    fn each_wrong_value_names_its_field() {
        let net = |text: &str| text.parse::<Ipv4Net>().unwrap();
        assert_eq!(problems(|s| s.name = "Nat Deck".into()), ["name"]);
        assert_eq!(problems(|s| s.name = String::new()), ["name"]);
        assert_eq!(problems(|s| s.zone = Some("eu-central-1".into())), ["zone"]);
        assert_eq!(problems(|s| s.zone = Some("us-west-2-lax-1a".into())), [""; 0]);
        assert_eq!(problems(|s| s.public_subnet_cidr = net("10.8.2.0/25")), ["private_subnet_cidr"]);
        assert_eq!(problems(|s| s.public_subnet_cidr = net("10.9.1.0/24")), ["public_subnet_cidr"]);
        assert_eq!(problems(|s| s.private_subnet_cidr = net("10.8.2.0/29")), ["private_subnet_cidr"]);
        assert_eq!(problems(|s| s.private_subnet_cidr = net("10.8.2.1/24")), ["private_subnet_cidr"]);
        assert_eq!(problems(|s| s.vpc_cidr = net("10.8.0.0/8")), ["vpc_cidr", "vpc_cidr"]);
        assert_eq!(problems(|s| s.ssh_cidr = Some(net("198.51.100.0/24"))), ["ssh_cidr"]);
        assert_eq!(problems(|s| s.key_name = Some("key".into())), [""; 0]);
        assert_eq!(problems(|s| s.instance_type = "nano".into()), ["instance_type"]);
        assert_eq!(problems(|s| s.image = Some("al2023".into())), ["image"]);
        assert_eq!(problems(|s| s.vpc_id = Some(VpcId::new("vpc-x"))), ["vpc_id"]);
    }

    #[test]
    fn the_image_follows_the_processor_of_the_type() {
        let parameter = |instance_type: &str| {
            let source = Spec { instance_type: instance_type.into(), ..Spec::default() }.image_source();
            match source {
                ImageSource::Parameter(path) => path.rsplit('-').next().unwrap_or_default().to_owned(),
                ImageSource::Image(_) => panic!("no image was named"),
            }
        };
        for arm in ["t4g.nano", "c7gn.large", "im4gn.xlarge", "a1.medium", "m6gd.large"] {
            assert_eq!(parameter(arm), "arm64", "{arm}");
        }
        for x86 in ["t3.nano", "g5.xlarge", "t3a.micro", "c5.large", "g4dn.xlarge"] {
            assert_eq!(parameter(x86), "x86_64", "{x86}");
        }
        // g5g is a GPU family on Graviton.
        assert_eq!(parameter("g5g.xlarge"), "arm64");
    }
}
