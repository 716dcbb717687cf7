//! Documents: the account's own, with their versions, beside those that AWS owns.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::content::{self, Content};
use super::owned::{self, Owned};
use super::{constraint, required, tags, text, texts, validation};
use crate::model::Tags;
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

mod list;

pub(super) use list::{list, versions};

/// Bytes of a document's content.
const MAX_CONTENT: usize = 65_536;

/// One of the account's documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub name: String,
    /// `Command`, `Policy`, `Session`, `Automation`, …
    pub kind: String,
    pub target_type: Option<String>,
    pub display_name: Option<String>,
    pub default_version: u32,
    /// Those that still exist, oldest first; never empty.
    pub versions: Vec<DocumentVersion>,
    pub created_at: Timestamp,
    /// Accounts that may use it too.
    pub shared_with: BTreeSet<String>,
    pub tags: Tags,
}

/// A version of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentVersion {
    pub version: u32,
    pub version_name: Option<String>,
    /// As the client sent it.
    pub content: String,
    /// `JSON`, `YAML` or `TEXT`.
    pub format: String,
    pub created_at: Timestamp,
}

/// A version of a document of either kind, found.
pub(super) struct Found<'a> {
    pub(super) name: &'a str,
    pub(super) version: String,
    kind: &'a str,
    text: &'a str,
    format: &'a str,
    own: Option<(&'a Document, &'a DocumentVersion)>,
}

fn unknown(name: &str) -> ApiError {
    ApiError::new("InvalidDocument", format!("Document with name {name} does not exist."))
}

fn no_such_version() -> ApiError {
    ApiError::new("InvalidDocumentVersion", "The document version is not valid or does not exist.")
}

impl Document {
    fn latest(&self) -> u32 {
        self.versions.last().map_or(1, |version| version.version)
    }

    /// A version by number or `$LATEST`, `$DEFAULT`, or by its name.
    fn version(&self, wanted: Option<&str>, version_name: Option<&str>) -> Result<&DocumentVersion, ApiError> {
        if let Some(name) = version_name {
            let found = self.versions.iter().find(|version| version.version_name.as_deref() == Some(name));
            return found.ok_or_else(no_such_version);
        }
        let number = match wanted {
            None | Some("$DEFAULT") => self.default_version,
            Some("$LATEST") => self.latest(),
            Some(number) => number.parse().map_err(|_| no_such_version())?,
        };
        self.versions.iter().find(|version| version.version == number).ok_or_else(no_such_version)
    }
}

impl Found<'_> {
    /// What it says, for those that hosts can run. Other types are stored and not understood.
    pub(super) fn read(&self) -> Result<Content, ApiError> {
        if !["Command", "Policy"].contains(&self.kind) {
            return Err(ApiError::new(
                "InvalidDocument",
                format!("The document {} is of type {}; only Command documents are run.", self.name, self.kind),
            ));
        }
        content::read(self.text, self.format)
    }

    fn read_any(&self) -> Option<Content> {
        content::read(self.text, self.format).ok()
    }

    fn schema_version(&self) -> String {
        content::schema_version(self.text, self.format).unwrap_or_default()
    }
}

/// The document that a request names by name or ARN.
pub(super) fn find<'a>(
    world: &'a World,
    name: &'a str,
    version: Option<&str>,
    version_name: Option<&str>,
) -> Result<Found<'a>, ApiError> {
    if let Some(Owned { name, content, kind }) = owned::find(name) {
        return match version {
            None | Some("$DEFAULT" | "$LATEST" | "1") => {
                Ok(Found { name, version: "1".to_owned(), kind, text: content, format: "JSON", own: None })
            }
            Some(_) => Err(no_such_version()),
        };
    }
    let plain = name.rsplit('/').next().unwrap_or(name);
    let document = world.ssm.documents.get(plain).ok_or_else(|| unknown(name))?;
    let version = document.version(version, version_name)?;
    Ok(Found {
        name: &document.name,
        version: version.version.to_string(),
        kind: &document.kind,
        text: &version.content,
        format: &version.format,
        own: Some((document, version)),
    })
}

/// The owner, the versions, the platforms: what descriptions and lists have in common.
fn identity(world: &World, found: &Found<'_>) -> Map<String, Value> {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| {
        entry.insert(key.to_owned(), value);
    };
    put("Name", found.name.into());
    put("Owner", if found.own.is_some() { world.account_id.as_str().into() } else { "Amazon".into() });
    put("DocumentVersion", found.version.as_str().into());
    put("PlatformTypes", found.read_any().map(|content| content.platforms()).unwrap_or_default().into());
    put("DocumentType", found.kind.into());
    put("SchemaVersion", found.schema_version().into());
    put("DocumentFormat", found.format.into());
    put("Tags", found.own.map_or_else(|| json!([]), |(document, _)| tags::list_of(&document.tags)));
    if let Some((document, version)) = found.own {
        put("CreatedDate", super::epoch(version.created_at));
        if let Some(name) = &version.version_name {
            put("VersionName", name.as_str().into());
        }
        if let Some(target) = &document.target_type {
            put("TargetType", target.as_str().into());
        }
        if let Some(name) = &document.display_name {
            put("DisplayName", name.as_str().into());
        }
    }
    entry
}

fn description(world: &World, found: &Found<'_>) -> Value {
    let mut entry = identity(world, found);
    let (latest, default) = found.own.map_or((1, 1), |(document, _)| (document.latest(), document.default_version));
    entry.insert("Status".to_owned(), "Active".into());
    entry.insert("LatestVersion".to_owned(), latest.to_string().into());
    entry.insert("DefaultVersion".to_owned(), default.to_string().into());
    if let Some(content) = found.read_any() {
        if let Some(text) = &content.description {
            entry.insert("Description".to_owned(), text.as_str().into());
        }
        let parameters: Vec<Value> = content.parameters.iter().map(parameter).collect();
        entry.insert("Parameters".to_owned(), parameters.into());
    }
    Value::Object(entry)
}

fn parameter(parameter: &content::Parameter) -> Value {
    // The API knows two types, and calls all others by the first.
    let kind = if parameter.kind == "StringList" { "StringList" } else { "String" };
    let mut entry = json!({ "Name": parameter.name, "Type": kind });
    if let Some(map) = entry.as_object_mut() {
        if let Some(text) = &parameter.description {
            map.insert("Description".to_owned(), text.as_str().into());
        }
        if let Some(default) = &parameter.default {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            map.insert("DefaultValue".to_owned(), default.into());
        }
    }
    entry
}

pub(super) fn describe(world: &World, body: &Value) -> Result<Value, ApiError> {
    let found = find(world, required(body, "Name")?, text(body, "DocumentVersion")?, text(body, "VersionName")?)?;
    Ok(json!({ "Document": description(world, &found) }))
}

pub(super) fn get(world: &World, body: &Value) -> Result<Value, ApiError> {
    let found = find(world, required(body, "Name")?, text(body, "DocumentVersion")?, text(body, "VersionName")?)?;
    let wanted = text(body, "DocumentFormat")?.unwrap_or(found.format);
    let content = match (found.format, wanted) {
        ("YAML", "JSON") => serde_saphyr::from_str::<Value>(found.text)
            .ok()
            .and_then(|value| serde_json::to_string_pretty(&value).ok())
            .unwrap_or_else(|| found.text.to_owned()),
        // JSON is YAML too.
        _ => found.text.to_owned(),
    };
    let mut answer = json!({
        "Name": found.name,
        "DocumentVersion": found.version,
        "Status": "Active",
        "Content": content,
        "DocumentType": found.kind,
        "DocumentFormat": wanted,
    });
    if let (Some((_, version)), Some(map)) = (found.own, answer.as_object_mut()) {
        map.insert("CreatedDate".to_owned(), super::epoch(version.created_at));
        if let Some(name) = &version.version_name {
            map.insert("VersionName".to_owned(), name.as_str().into());
        }
    }
    Ok(answer)
}

/// Content that a document of this type may have, with its format.
fn checked<'a>(body: &'a Value, kind: &str) -> Result<(&'a str, &'a str), ApiError> {
    let (text_of, format) = (required(body, "Content")?, text(body, "DocumentFormat")?.unwrap_or("JSON"));
    if !["JSON", "YAML", "TEXT"].contains(&format) {
        let bound = "Member must satisfy enum value set: [YAML, TEXT, JSON]";
        return Err(constraint(&format.into(), "documentFormat", bound));
    }
    if text_of.len() > MAX_CONTENT {
        return Err(ApiError::new("MaxDocumentSizeExceeded", "The size limit of a document is 64 KB."));
    }
    let version = content::schema_version(text_of, format)?;
    let fits: &[&str] = match kind {
        "Command" => &["1.2", "2.0", "2.2"],
        "Policy" => &["2.0"],
        "Session" => &["1.0"],
        "Automation" => &["0.3"],
        _ => return Ok((text_of, format)),
    };
    if !fits.contains(&version.as_str()) {
        return Err(ApiError::new(
            "InvalidDocumentSchemaVersion",
            format!("Document schema version, {version}, is not supported by the current document type."),
        ));
    }
    if kind == "Command" || kind == "Policy" {
        content::read(text_of, format)?;
    }
    Ok((text_of, format))
}

pub(super) fn create(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let name = required(body, "Name")?;
    let letters = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(letters) {
        let bound = r"Member must satisfy regular expression pattern: ^[a-zA-Z0-9_\-.]{3,128}$";
        return Err(constraint(&name.into(), "name", bound));
    }
    let lower = name.to_ascii_lowercase();
    if ["aws-", "amazon", "amzn"].iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(validation(format!("The document name {name} begins with a prefix that is reserved by AWS.")));
    }
    let kind = text(body, "DocumentType")?.unwrap_or("Command");
    let (content, format) = checked(body, kind)?;
    let own_tags = tags::given(body)?;
    if world.ssm.documents.contains_key(name) {
        return Err(ApiError::new("DocumentAlreadyExists", "The specified document already exists."));
    }
    let first = DocumentVersion {
        version: 1,
        version_name: text(body, "VersionName")?.map(str::to_owned),
        content: content.to_owned(),
        format: format.to_owned(),
        created_at: world.now,
    };
    let document = Document {
        name: name.to_owned(),
        kind: kind.to_owned(),
        target_type: text(body, "TargetType")?.map(str::to_owned),
        display_name: text(body, "DisplayName")?.map(str::to_owned),
        default_version: 1,
        versions: vec![first],
        created_at: world.now,
        shared_with: BTreeSet::new(),
        tags: own_tags,
    };
    world.ssm.documents.insert(name.to_owned(), document);
    // AWS says `Creating`, and the first look says `Active`.
    let mut described = description(world, &find(world, name, None, None)?);
    if let Some(map) = described.as_object_mut() {
        map.insert("Status".to_owned(), "Creating".into());
    }
    Ok(json!({ "DocumentDescription": described }))
}

/// One of the account's own documents, for a change.
fn own<'a>(world: &'a mut World, body: &Value) -> Result<&'a mut Document, ApiError> {
    let name = required(body, "Name")?;
    let plain = name.rsplit('/').next().unwrap_or(name);
    if owned::find(plain).is_some() {
        return Err(ApiError::new("InvalidDocumentOperation", format!("The document {plain} is AWS's own.")));
    }
    world.ssm.documents.get_mut(plain).ok_or_else(|| unknown(name))
}

pub(super) fn update(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let now = world.now;
    let document = own(world, body)?;
    let (content, format) = checked(body, &document.kind.clone())?;
    let latest = document.latest();
    match text(body, "DocumentVersion")? {
        None => {
            return Err(validation(
                "Document version must be specified: $LATEST, or the number of the latest version.",
            ));
        }
        Some("$LATEST") => {}
        Some(wanted) => {
            document.version(Some(wanted), None)?;
        }
    }
    if document.versions.iter().any(|version| version.content == content && version.format == format) {
        return Err(ApiError::new(
            "DuplicateDocumentContent",
            "The content of the association document matches another document. Change the content of the document and \
             try again.",
        ));
    }
    let version_name = text(body, "VersionName")?.map(str::to_owned);
    if version_name.is_some() && document.versions.iter().any(|version| version.version_name == version_name) {
        return Err(ApiError::new(
            "DuplicateDocumentVersionName",
            "The version name has already been used in this document.",
        ));
    }
    if let Some(target) = text(body, "TargetType")? {
        document.target_type = Some(target.to_owned());
    }
    if let Some(name) = text(body, "DisplayName")? {
        document.display_name = Some(name.to_owned());
    }
    let version = latest.saturating_add(1);
    document.versions.push(DocumentVersion {
        version,
        version_name,
        content: content.to_owned(),
        format: format.to_owned(),
        created_at: now,
    });
    let name = document.name.clone();
    let found = find(world, &name, Some("$LATEST"), None)?;
    Ok(json!({ "DocumentDescription": description(world, &found) }))
}

pub(super) fn update_default(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let wanted = required(body, "DocumentVersion")?;
    let document = own(world, body)?;
    let version = document.version(Some(wanted), None)?;
    let (number, name) = (version.version, version.version_name.clone());
    document.default_version = number;
    let mut entry = json!({ "Name": document.name, "DefaultVersion": number.to_string() });
    if let (Some(name), Some(map)) = (name, entry.as_object_mut()) {
        map.insert("DefaultVersionName".to_owned(), name.into());
    }
    Ok(json!({ "Description": entry }))
}

pub(super) fn delete(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    let only = text(body, "DocumentVersion")?;
    let document = own(world, body)?;
    if !document.shared_with.is_empty() {
        return Err(ApiError::new(
            "InvalidDocumentOperation",
            "You attempted to delete a document while it is still shared. You must stop sharing the document before you can delete it.",
        ));
    }
    let name = document.name.clone();
    if let Some(wanted) = only.filter(|wanted| *wanted != "$DEFAULT") {
        let number = document.version(Some(wanted), None)?.version;
        if number == document.default_version {
            return Err(ApiError::new(
                "InvalidDocumentOperation",
                "The default version of a document cannot be deleted.",
            ));
        }
        document.versions.retain(|version| version.version != number);
        return Ok(json!({}));
    }
    if world.ssm.associations.values().any(|association| association.document == name) {
        return Err(ApiError::new("AssociatedInstances", ""));
    }
    world.ssm.documents.remove(&name);
    Ok(json!({}))
}

pub(super) fn describe_permission(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    permission_type(body)?;
    let shared = own(world, body)?.shared_with.clone();
    let entries: Vec<Value> =
        shared.iter().map(|id| json!({ "AccountId": id, "SharedDocumentVersion": "$DEFAULT" })).collect();
    Ok(json!({ "AccountIds": shared, "AccountSharingInfoList": entries }))
}

pub(super) fn modify_permission(world: &mut World, body: &Value) -> Result<Value, ApiError> {
    permission_type(body)?;
    let (added, removed) = (texts(body, "AccountIdsToAdd")?, texts(body, "AccountIdsToRemove")?);
    let document = own(world, body)?;
    document.shared_with.extend(added);
    document.shared_with.retain(|id| !removed.contains(id));
    Ok(json!({}))
}

fn permission_type(body: &Value) -> Result<(), ApiError> {
    match required(body, "PermissionType")? {
        "Share" => Ok(()),
        _ => Err(ApiError::new(
            "InvalidPermissionType",
            "The permission type isn't supported. Share is the only supported permission type.",
        )),
    }
}
