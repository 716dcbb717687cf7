//! Launch templates and their versions. A version keeps the fields of RequestLaunchTemplateData as the client sent
//! them; RunInstances reads them as if they had come with its own request.

use super::describe::{Filters, PageSize, many, maybe, one, page};
use super::{Answer, iso8601, tag};
use crate::model::Tags;
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{LaunchTemplate, LaunchTemplateVersion, World};

const PREFIX: &str = "lt-";

const PAGES: PageSize = PageSize { min: 1, max: 200 };

/// The lists of RequestLaunchTemplateData whose name in answers is not the request's with `Set` behind it.
const SETS: [(&str, &str); 4] = [
    ("SecurityGroupId", "groupSet"),
    ("Ipv6Addresses", "ipv6AddressesSet"),
    ("PrivateIpAddresses", "privateIpAddressesSet"),
    ("LicenseSpecification", "licenseSet"),
];

fn not_found(what: &str, value: &str) -> ApiError {
    if what == "id" {
        return ApiError::new(
            "InvalidLaunchTemplateId.NotFound",
            format!("The specified launch template, with template ID {value}, does not exist."),
        );
    }
    ApiError::new(
        "InvalidLaunchTemplateName.NotFoundException",
        format!("The specified launch template, with template name {value}, does not exist."),
    )
}

/// The template that a request names by id or by name.
fn named<'a>(world: &'a World, query: &Query) -> Result<&'a LaunchTemplate, ApiError> {
    match (query.get("LaunchTemplateId"), query.get("LaunchTemplateName")) {
        (Some(_), Some(_)) => Err(ApiError::new(
            "InvalidParameterCombination",
            "Either a launch template ID or a launch template name must be specified in the request, but not both.",
        )),
        (Some(id), None) => {
            check_id(id)?;
            world.records.launch_templates.get(id).ok_or_else(|| not_found("id", id))
        }
        (None, Some(name)) => by_name(world, name).ok_or_else(|| not_found("name", name)),
        (None, None) => Err(ApiError::new(
            "MissingParameter",
            "Either a launch template ID or a launch template name must be specified in the request.",
        )),
    }
}

fn named_mut<'a>(world: &'a mut World, query: &Query) -> Result<&'a mut LaunchTemplate, ApiError> {
    let id = named(world, query)?.launch_template_id.clone();
    world.records.launch_templates.get_mut(&id).ok_or_else(|| not_found("id", &id))
}

fn by_name<'a>(world: &'a World, name: &str) -> Option<&'a LaunchTemplate> {
    world.records.launch_templates.values().find(|template| template.launch_template_name == name)
}

fn check_id(id: &str) -> Result<(), ApiError> {
    let digits = id.strip_prefix(PREFIX).unwrap_or_default();
    if matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(ApiError::new("InvalidLaunchTemplateId.Malformed", format!("Invalid id: \"{id}\" (expecting \"lt-...\")")))
}

/// The version that a text means: a number, `$Latest`, or `$Default`, which is also what no text means.
fn version_number(template: &LaunchTemplate, text: Option<&str>) -> Result<u32, ApiError> {
    let missing = |text: &str| {
        ApiError::new(
            "InvalidLaunchTemplateId.VersionNotFound",
            format!(
                "Could not find the specified version {text} for the launch template with ID {}.",
                template.launch_template_id
            ),
        )
    };
    match text.filter(|text| !text.is_empty()) {
        None | Some("$Default") => Ok(template.default_version),
        Some("$Latest") => Ok(template.latest_version()),
        Some(text) => {
            text.parse().ok().filter(|number| template.versions.contains_key(number)).ok_or_else(|| missing(text))
        }
    }
}

/// `blockDeviceMappingSet` of `BlockDeviceMapping`.
fn lower(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase().to_string() + chars.as_str()).unwrap_or_default()
}

/// ResponseLaunchTemplateData: the fields as they came, under the names that answers have for them.
fn data_xml(data: &Query) -> Xml {
    let mut names: Vec<&str> = Vec::new();
    for (key, _) in data.pairs() {
        let name = key.split('.').next().unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let inside_interface = data.has("DeviceIndex") || data.has("AssociatePublicIpAddress");
    names.into_iter().fold(Xml::new(), |xml, name| {
        if let Some(text) = data.get(name) {
            return xml.text(&lower(name), text);
        }
        let entries = data.structs(name);
        if entries.is_empty() {
            return xml.node(&lower(name), data_xml(&data.nested(name)));
        }
        let special =
            SETS.iter().find(|(request, _)| *request == name && (name != "SecurityGroupId" || inside_interface));
        let set = special.map_or_else(|| format!("{}Set", lower(name)), |(_, set)| (*set).to_owned());
        let values = data.list(name);
        if values.is_empty() {
            xml.items(&set, entries.iter().map(data_xml))
        } else if set == "groupSet" {
            xml.named_values(&set, "groupId", values)
        } else {
            xml.values(&set, values)
        }
    })
}

fn created_by(world: &World) -> String {
    format!("arn:aws:iam::{}:user/{}", world.account_id, super::super::sts::USER_NAME)
}

fn template_xml(world: &World, template: &LaunchTemplate) -> Xml {
    Xml::new()
        .text("launchTemplateId", &template.launch_template_id)
        .text("launchTemplateName", &template.launch_template_name)
        .text("createTime", iso8601(template.created_at))
        .text("createdBy", created_by(world))
        .text("defaultVersionNumber", template.default_version)
        .text("latestVersionNumber", template.latest_version())
        .items("tagSet", tag::xml(&template.tags))
}

fn version_xml(world: &World, template: &LaunchTemplate, number: u32, version: &LaunchTemplateVersion) -> Xml {
    Xml::new()
        .text("launchTemplateId", &template.launch_template_id)
        .text("launchTemplateName", &template.launch_template_name)
        .text("versionNumber", number)
        .opt("versionDescription", version.description.as_ref())
        .text("createTime", iso8601(version.created_at))
        .text("createdBy", created_by(world))
        .text("defaultVersion", number == template.default_version)
        .node("launchTemplateData", data_xml(&version.data))
}

/// The template data of a request. AWS checks what can be checked without launching: here, that there is any.
fn asked(world: &World, query: &Query) -> Result<LaunchTemplateVersion, ApiError> {
    let data = query.nested("LaunchTemplateData");
    if data.is_empty() {
        return Err(ApiError::new(
            "InvalidRequest",
            "The launch template data is empty; at least one parameter must be specified.",
        ));
    }
    Ok(LaunchTemplateVersion {
        description: query.get("VersionDescription").map(str::to_owned),
        created_at: world.now,
        data,
    })
}

/// CreateLaunchTemplate
pub fn create(world: &mut World, query: &Query) -> Answer {
    let name = query.require("LaunchTemplateName")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "()./_-".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.MalformedException",
            "The launch template name must be between 3 and 128 characters of letters, digits and ( ) . / _ -.",
        ));
    }
    if by_name(world, name).is_some() {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.AlreadyExistsException",
            "Launch template name already in use.",
        ));
    }
    let tags = tag::specified(query, "launch-template")?;
    let version = asked(world, query)?;
    let template = LaunchTemplate {
        launch_template_id: world.new_id(PREFIX),
        launch_template_name: name.to_owned(),
        created_at: world.now,
        default_version: 1,
        made: 1,
        versions: [(1, version)].into(),
        tags,
    };
    let answer = template_xml(world, &template);
    world.records.launch_templates.insert(template.launch_template_id.clone(), template);
    Ok(Body::Xml(Xml::new().node("launchTemplate", answer)))
}

/// CreateLaunchTemplateVersion: a source version lends the fields that the request leaves out.
pub fn create_version(world: &mut World, query: &Query) -> Answer {
    let mut version = asked(world, query)?;
    let template = named(world, query)?;
    if let Some(source) = query.get("SourceVersion").filter(|source| !source.is_empty()) {
        let number = version_number(template, Some(source))?;
        if let Some(source) = template.versions.get(&number) {
            version.data = merge(&source.data, &version.data);
        }
    }
    let template = named_mut(world, query)?;
    template.made += 1;
    let number = template.made;
    template.versions.insert(number, version);
    let template = named(world, query)?;
    let answer = template.versions.get(&number).map(|version| version_xml(world, template, number, version));
    Ok(Body::Xml(Xml::new().opt_node("launchTemplateVersion", answer)))
}

/// ModifyLaunchTemplate: which version is the default one.
pub fn modify(world: &mut World, query: &Query) -> Answer {
    let number = version_number(named(world, query)?, query.get("SetDefaultVersion"))?;
    named_mut(world, query)?.default_version = number;
    let answer = template_xml(world, named(world, query)?);
    Ok(Body::Xml(Xml::new().node("launchTemplate", answer)))
}

/// DeleteLaunchTemplate: with all its versions.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let template = named(world, query)?;
    let (id, answer) = (template.launch_template_id.clone(), template_xml(world, template));
    world.records.launch_templates.remove(&id);
    Ok(Body::Xml(Xml::new().node("launchTemplate", answer)))
}

/// DeleteLaunchTemplateVersions: the default one stays.
pub fn delete_versions(world: &mut World, query: &Query) -> Answer {
    let asked: Vec<String> = query.list("LaunchTemplateVersion").into_iter().map(str::to_owned).collect();
    if asked.is_empty() {
        return Err(ApiError::missing("LaunchTemplateVersion"));
    }
    let template = named_mut(world, query)?;
    let (mut deleted, mut kept) = (Vec::new(), Vec::new());
    let head = |template: &LaunchTemplate| {
        Xml::new()
            .text("launchTemplateId", &template.launch_template_id)
            .text("launchTemplateName", &template.launch_template_name)
    };
    for text in asked {
        let refusal = |code: &str, message: &str| Xml::new().text("code", code).text("message", message);
        match version_number(template, Some(&text)) {
            Ok(number) if number == template.default_version => {
                let error = refusal("unexpectedError", "The default version of a launch template cannot be deleted.");
                kept.push(head(template).text("versionNumber", number).node("responseError", error));
            }
            Ok(number) => {
                template.versions.remove(&number);
                deleted.push(head(template).text("versionNumber", number));
            }
            Err(error) => kept.push(
                head(template)
                    .text("versionNumber", text)
                    .node("responseError", refusal("launchTemplateVersionDoesNotExist", &error.message)),
            ),
        }
    }
    Ok(Body::Xml(
        Xml::new()
            .items("successfullyDeletedLaunchTemplateVersionSet", deleted)
            .items("unsuccessfullyDeletedLaunchTemplateVersionSet", kept),
    ))
}

/// DescribeLaunchTemplates
pub fn describe_launch_templates(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let (ids, names) = (query.list("LaunchTemplateId"), query.list("LaunchTemplateName"));
    for id in &ids {
        check_id(id)?;
        if !world.records.launch_templates.contains_key(*id) {
            return Err(not_found("id", id));
        }
    }
    if let Some(name) = names.iter().find(|name| by_name(world, name).is_none()) {
        return Err(not_found("name", name));
    }
    let mut rows = Vec::new();
    for (id, template) in &world.records.launch_templates {
        let meant = (ids.is_empty() || ids.contains(&id.as_str()))
            && (names.is_empty() || names.contains(&template.launch_template_name.as_str()));
        let accepted = filters.accept(&template.tags, |name| match name {
            "launch-template-name" => one(&template.launch_template_name),
            "create-time" => one(iso8601(template.created_at)),
            _ => None,
        })?;
        if meant && accepted {
            rows.push((id.clone(), template_xml(world, template)));
        }
    }
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("launchTemplates", page).opt("nextToken", token)))
}

/// DescribeLaunchTemplateVersions: of one template, or `$Latest` and `$Default` of all.
pub fn describe_versions(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let asked = query.list("LaunchTemplateVersion");
    let one_template = query.has("LaunchTemplateId") || query.has("LaunchTemplateName");
    let templates: Vec<&LaunchTemplate> = if one_template {
        vec![named(world, query)?]
    } else if !asked.is_empty() && asked.iter().all(|version| matches!(*version, "$Latest" | "$Default")) {
        world.records.launch_templates.values().collect()
    } else {
        return named(world, query).map(|_| Body::Xml(Xml::new()));
    };
    let bound = |name: &str| query.get(name).and_then(|text| text.parse::<u32>().ok());
    let (min, max) = (bound("MinVersion").unwrap_or(0), bound("MaxVersion").unwrap_or(u32::MAX));
    let mut rows = Vec::new();
    for template in templates {
        let wanted: Vec<u32> =
            asked.iter().map(|text| version_number(template, Some(text))).collect::<Result<_, _>>()?;
        for (number, version) in &template.versions {
            let meant = (wanted.is_empty() || wanted.contains(number)) && (min..=max).contains(number);
            let accepted = filters.accept(&Tags::default(), |name| match name {
                "image-id" => maybe(version.data.get("ImageId")),
                "instance-type" => maybe(version.data.get("InstanceType")),
                "is-default-version" => one(*number == template.default_version),
                "iam-instance-profile" => {
                    many(version.data.nested("IamInstanceProfile").pairs().map(|(_, v)| v.to_owned()))
                }
                "create-time" => one(iso8601(version.created_at)),
                _ => None,
            })?;
            if meant && accepted {
                // Newest first, as AWS lists them.
                let key = format!("{} {:010}", template.launch_template_id, u32::MAX - number);
                rows.push((key, version_xml(world, template, *number, version)));
            }
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (page, token) = page(query, PAGES, rows)?;
    Ok(Body::Xml(Xml::new().items("launchTemplateVersionSet", page).opt("nextToken", token)))
}

/// Fields of which the second are the more important: a list replaces a list, a structure's fields replace each other
/// one by one, tags of both are given.
fn merge(under: &Query, over: &Query) -> Query {
    const TAGS: &str = "TagSpecification";
    let is_list = |key: &str| key.split('.').nth(1).is_some_and(|part| part.parse::<u32>().is_ok());
    let top = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    let kept = under.pairs().filter(|(key, _)| match top(key) {
        tags if tags == TAGS => true,
        list if is_list(key) => !over.has(&list),
        _ => over.get(key).is_none(),
    });
    let offset = u32::try_from(under.structs(TAGS).len()).unwrap_or(0);
    let mut merged: Vec<(String, String)> = kept.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for (key, value) in over.pairs() {
        let moved = key.strip_prefix("TagSpecification.").and_then(|rest| {
            let (index, rest) = rest.split_once('.')?;
            Some(format!("{TAGS}.{}.{rest}", index.parse::<u32>().ok()?.saturating_add(offset)))
        });
        merged.push((moved.unwrap_or_else(|| key.to_owned()), value.to_owned()));
    }
    merged.into_iter().collect()
}

/// A RunInstances request with what its launch template says, and the tags by which AWS remembers the template.
pub fn resolve(world: &World, query: &Query) -> Result<(Query, Option<Tags>), ApiError> {
    if !query.has("LaunchTemplate") {
        return Ok((query.clone(), None));
    }
    let specification = query.nested("LaunchTemplate");
    let template = named(world, &specification)?;
    let number = version_number(template, specification.get("Version"))?;
    let data = template.versions.get(&number).map(|version| version.data.clone()).unwrap_or_default();
    let own: Query = query.pairs().filter(|(key, _)| !key.starts_with("LaunchTemplate.")).collect();
    let tags = [
        ("aws:ec2launchtemplate:id".to_owned(), template.launch_template_id.clone()),
        ("aws:ec2launchtemplate:version".to_owned(), number.to_string()),
    ];
    Ok((merge(&data, &own), Some(tags.into_iter().collect())))
}
