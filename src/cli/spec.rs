//! What to build: the defaults, then the file, then the flags.

use color_eyre::eyre::{self, WrapErr, bail};

use super::arguments::{SpecArguments, TopologyName};
use crate::plan::{Spec, Topology};

/// Reads and checks the spec. `stack` is the global flag: it names the stack, whatever the file says.
pub fn read(arguments: &SpecArguments, stack: Option<&str>) -> eyre::Result<Spec> {
    let mut spec = match &arguments.spec {
        Some(path) => {
            let text = std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
            Spec::from_toml(&text).wrap_err_with(|| path.display().to_string())?
        }
        None => Spec::default(),
    };
    let set = |field: &mut ipnet::Ipv4Net, value: Option<ipnet::Ipv4Net>| *field = value.unwrap_or(*field);
    set(&mut spec.vpc_cidr, arguments.vpc_cidr);
    set(&mut spec.public_subnet_cidr, arguments.public_subnet_cidr);
    set(&mut spec.private_subnet_cidr, arguments.private_subnet_cidr);
    if let Some(name) = stack {
        name.clone_into(&mut spec.name);
    }
    if let Some(instance_type) = &arguments.instance_type {
        spec.instance_type.clone_from(instance_type);
    }
    if let Some(count) = arguments.private_instances {
        spec.private_instances = count;
    }
    if let Some(topology) = arguments.topology {
        spec.topology = match topology {
            TopologyName::SecondInterface => Topology::SecondInterface,
            TopologyName::SingleInterface => Topology::SingleInterface,
        };
    }
    spec.elastic_ip |= arguments.elastic_ip;
    spec.ssm_endpoints &= !arguments.no_ssm_endpoints;
    spec.zone = arguments.zone.clone().or(spec.zone);
    spec.image = arguments.image.clone().or(spec.image);
    spec.vpc_id = arguments.vpc.clone().or(spec.vpc_id);
    spec.key_name = arguments.ssh_key.clone().or(spec.key_name);
    spec.ssh_cidr = arguments.ssh_cidr.or(spec.ssh_cidr);
    if let Err(errors) = spec.check() {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        bail!("{}", lines.join("; "));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_anything_the_spec_is_the_articles() {
        assert_eq!(read(&SpecArguments::default(), None).unwrap(), Spec::default());
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nat.toml");
        std::fs::write(&file, "instance_type = \"t4g.small\"\nelastic_ip = true\nprivate_instances = 5\n").unwrap();
        let arguments = SpecArguments { spec: Some(file), private_instances: Some(1), ..SpecArguments::default() };
        let spec = read(&arguments, Some("workshop")).unwrap();
        assert_eq!(spec.instance_type, "t4g.small");
        assert!(spec.elastic_ip);
        assert_eq!(spec.private_instances, 1);
        assert_eq!(spec.name, "workshop");
    }

    #[test]
    fn a_spec_that_cannot_be_read_names_its_file_line_and_field() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nat.toml");
        std::fs::write(&file, "name = \"x\"\ncolour = \"red\"\n").unwrap();
        let error = read(&SpecArguments { spec: Some(file), ..SpecArguments::default() }, None).unwrap_err();
        let line = super::super::error_line(&error);
        assert!(line.contains("nat.toml") && line.contains("line 2") && line.contains("colour"), "{line}");
    }
}
