//! Task files by their paths, and what the names in them mean: tasks, groups of tasks, tags.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_yaml_ng::{Mapping, Value};

use crate::config::TaskConfig;
use crate::fields::Fields;
use crate::group::{Group, GroupMetric};
use crate::{Error, Result, shipped, yaml};

/// Groups within groups.
const MAX_DEPTH: usize = 10;
/// Tasks and groups of one name at most.
const MAX_ENTRIES: usize = 2_000;

/// Task files by their paths, as `gsm8k/gsm8k.yaml`; files that end otherwise than in `.yaml` are there to be included.
///
/// ```
/// let library = qd_task::Library::shipped();
/// let found = library.load("gsm8k").unwrap();
/// assert_eq!(found[0].tasks()[0].splits(), ["test", "train"]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Library {
    files: BTreeMap<String, String>,
}

/// What a name means.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A task.
    Task(Box<TaskConfig>),
    /// Tasks that have numbers in common.
    Group(Group),
}

/// A name of a file of a library, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Words that it is found by.
    pub tags: Vec<String>,
}

impl Library {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files that come with Quarterdeck.
    pub fn shipped() -> Self {
        Self { files: shipped::FILES.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// The same, with a file more; one of the same path is replaced.
    #[must_use]
    pub fn with(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    /// The names of all tasks and groups, in the order of their files; files that cannot be read are left out.
    pub fn list(&self) -> Vec<Listed> {
        self.index().listed
    }

    /// The task or the group of that name, or all tasks with that tag in the order of their names.
    ///
    /// # Errors
    /// [`Error::Unknown`] when nothing has the name, [`Error::File`] and [`Error::Field`] when a file cannot be right.
    pub fn load(&self, name: &str) -> Result<Vec<Entry>> {
        let loading = Loading { library: self, index: self.index(), whole: name, entries: Cell::new(0) };
        loading.named(name, &Mapping::new(), 0)
    }

    fn index(&self) -> Index {
        let mut index = Index::default();
        for path in self.files.keys().filter(|path| path.ends_with(".yaml")) {
            match self.listed(path) {
                Ok(listed) => {
                    // Of two files with one name the first is meant, as in the harness.
                    index.paths.entry(listed.name.clone()).or_insert_with(|| (path.clone(), listed.is_group));
                    index.listed.push(listed);
                }
                Err(error) => index.broken.push(error.to_string()),
            }
        }
        index
    }

    fn listed(&self, path: &str) -> Result<Listed> {
        let mapping = yaml::load(&self.files, path)?;
        let field = if mapping.contains_key("group") { "group" } else { "task" };
        let name = name_in(path, &mapping, field)?;
        let tags = Fields::of_task(&name, mapping).texts("tag")?.unwrap_or_default();
        Ok(Listed { name, is_group: field == "group", tags })
    }
}

/// What the files of a library say of themselves.
#[derive(Default)]
struct Index {
    /// The path of each name, and whether it is a group's.
    paths: BTreeMap<String, (String, bool)>,
    listed: Vec<Listed>,
    broken: Vec<String>,
}

/// A library while a name of it is looked up.
struct Loading<'l> {
    library: &'l Library,
    index: Index,
    /// The name that was asked for.
    whole: &'l str,
    /// Tasks and groups that have been begun.
    entries: Cell<usize>,
}

impl Loading<'_> {
    /// Counts a task or a group before it is read: groups of groups would be many long before they are too deep.
    fn count(&self) -> Result<()> {
        self.entries.set(self.entries.get() + 1);
        match self.entries.get() > MAX_ENTRIES {
            true => {
                Err(Error::file(self.whole, format!("it has over {MAX_ENTRIES} tasks and groups, so many are allowed")))
            }
            false => Ok(()),
        }
    }

    fn named(&self, name: &str, overrides: &Mapping, depth: usize) -> Result<Vec<Entry>> {
        if depth > MAX_DEPTH {
            return Err(Error::file(name, format!("groups are nested more than {MAX_DEPTH} deep")));
        }
        if let Some((path, is_group)) = self.index.paths.get(name) {
            return Ok(vec![self.entry(path, *is_group, overrides, depth)?]);
        }
        let has_tag = |listed: &&Listed| !listed.is_group && listed.tags.iter().any(|tag| tag == name);
        let mut tagged: Vec<&str> =
            self.index.listed.iter().filter(has_tag).map(|listed| listed.name.as_str()).collect();
        tagged.sort_unstable();
        if tagged.is_empty() {
            return Err(self.unknown(name));
        }
        let paths = tagged.into_iter().filter_map(|name| self.index.paths.get(name));
        paths.map(|(path, is_group)| self.entry(path, *is_group, overrides, depth)).collect()
    }

    fn unknown(&self, name: &str) -> Error {
        let names: Vec<&str> = self.index.listed.iter().map(|listed| listed.name.as_str()).collect();
        let broken: Vec<String> = self.index.broken.iter().map(|why| format!("; not read: {why}")).collect();
        Error::Unknown { name: name.to_owned(), there: format!("there are {}{}", names.join(", "), broken.concat()) }
    }

    fn entry(&self, path: &str, is_group: bool, overrides: &Mapping, depth: usize) -> Result<Entry> {
        self.count()?;
        let mut mapping = yaml::load(&self.library.files, path)?;
        if is_group {
            let name = name_in(path, &mapping, "group")?;
            return self.group(name, mapping, overrides, depth).map(Entry::Group);
        }
        mapping.extend(overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
        let name = name_in(path, &mapping, "task")?;
        TaskConfig::read(&name, mapping).map(|config| Entry::Task(Box::new(config)))
    }

    /// A group: its own fields; what else stands in it is for each of its tasks, and what the caller says wins.
    fn group(&self, name: String, mapping: Mapping, overrides: &Mapping, depth: usize) -> Result<Group> {
        if depth > MAX_DEPTH {
            return Err(Error::file(&name, format!("groups are nested more than {MAX_DEPTH} deep")));
        }
        let mut fields = Mapping::new();
        let mut for_tasks = Mapping::new();
        for (key, value) in mapping {
            let own =
                matches!(key.as_str(), Some("group" | "group_alias" | "task" | "aggregate_metric_list" | "metadata"));
            if own { &mut fields } else { &mut for_tasks }.insert(key, value);
        }
        for_tasks.remove("tag");
        for_tasks.extend(overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
        let mut fields = Fields::of_task(&name, fields);
        fields.take("group");
        let members = match fields.take("task") {
            Some(Value::Sequence(members)) => members,
            Some(one @ Value::String(_)) => vec![one],
            _ => return Err(fields.wrong("task", "a group has a list of tasks")),
        };
        let mut entries = Vec::new();
        for member in members {
            entries.extend(self.member(&name, member, &for_tasks, depth + 1)?);
        }
        let group = Group {
            alias: fields.text("group_alias")?,
            metrics: GroupMetric::read(&mut fields)?,
            version: fields.take("metadata").and_then(|metadata| metadata.get("version").and_then(yaml::to_json)),
            members: entries,
            name,
        };
        fields.end()?;
        Ok(group)
    }

    fn member(&self, group: &str, member: Value, overrides: &Mapping, depth: usize) -> Result<Vec<Entry>> {
        let wrong = |why: &str| Error::field(group, "task", why);
        let mut own = match member {
            Value::String(name) => return self.named(&name, overrides, depth),
            Value::Mapping(own) => own,
            _ => return Err(wrong("a member is the name of a task, or a mapping with `task` or `group`")),
        };
        let merged = |own: Mapping| {
            let mut merged = overrides.clone();
            merged.extend(own);
            merged
        };
        if let Some(name) = own.get("group").and_then(Value::as_str).map(str::to_owned) {
            if self.index.paths.get(&name).is_some_and(|(_, is_group)| *is_group) {
                own.remove("group");
                return self.named(&name, &merged(own), depth);
            }
            self.count()?;
            return Ok(vec![Entry::Group(self.group(format!("{group}::{name}"), own, overrides, depth)?)]);
        }
        let name = own.get("task").and_then(Value::as_str).map(str::to_owned);
        let name = name.ok_or_else(|| wrong("a member that is a mapping has the name of a task as `task`"))?;
        match self.named(&name, &merged(own.clone()), depth) {
            // A task that no file has is written here in full.
            Err(Error::Unknown { .. }) if own.len() > 1 => {
                self.count()?;
                let config = TaskConfig::read(&format!("{group}::{name}"), merged(own))?;
                Ok(vec![Entry::Task(Box::new(config))])
            }
            other => other,
        }
    }
}

impl Entry {
    /// The task, or all tasks of the group and of the groups within it.
    pub fn tasks(&self) -> Vec<&TaskConfig> {
        match self {
            Self::Task(config) => vec![config],
            Self::Group(group) => group.members.iter().flat_map(Self::tasks).collect(),
        }
    }
}

fn name_in(path: &str, mapping: &Mapping, field: &str) -> Result<String> {
    let name = mapping.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
    let why = || format!("{field}: write a name; a file that is only included does not end in .yaml");
    name.map(str::to_owned).ok_or_else(|| Error::file(path, why()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str =
        "output_type: multiple_choice\ntest_split: test\ndoc_to_text: q\ndoc_to_target: 0\ndoc_to_choice: [a, b]\n";

    fn library() -> Library {
        Library::new()
            .with("b/one.yaml", &format!("task: one\ntag: [t, u]\n{TASK}"))
            .with("b/two.yaml", "include: one.yaml\ntask: two\ntag: t\nnum_fewshot: 1")
            .with(
                "g.yaml",
                "group: g\nnum_fewshot: 2\ntask: [one, {task: two, num_fewshot: 3}, {group: in, task: [one]}]",
            )
            .with("broken.yaml", "task: [")
    }

    fn shots(name: &str) -> Vec<(String, Option<usize>)> {
        let entries = library().load(name).unwrap();
        entries.iter().flat_map(Entry::tasks).map(|config| (config.name.clone(), config.num_fewshot)).collect()
    }

    #[test]
    fn a_name_is_a_task_a_group_or_a_tag() {
        let named = |name: &str, shots| (name.to_owned(), shots);
        assert_eq!(shots("one"), [named("one", None)]);
        assert_eq!(shots("t"), [named("one", None), named("two", Some(1))]);
        assert_eq!(shots("u"), [named("one", None)]);
        // What stands at a group is for its tasks, and what stands at one task wins.
        assert_eq!(shots("g"), [named("one", Some(2)), named("two", Some(3)), named("one", Some(2))]);
        let unknown = library().load("x").unwrap_err().to_string();
        assert!(unknown.contains("there are one, two, g") && unknown.contains("broken.yaml"), "{unknown}");
    }

    /// Each group holds the next 20 times: 20^9 tasks, which nobody could wait for.
    #[test]
    fn what_is_too_many_is_not_loaded_first() {
        let groups = (0..9).fold(Library::new().with("t.yaml", &format!("task: t\n{TASK}")), |library, level| {
            let next = if level == 8 { "t".to_owned() } else { format!("g{}", level + 1) };
            library.with(&format!("g{level}.yaml"), &format!("group: g{level}\ntask: [{}]", vec![next; 20].join(", ")))
        });
        let error = groups.load("g0").unwrap_err().to_string();
        assert!(error.contains("g0: it has over 2000 tasks and groups"), "{error}");
        // Groups without tasks count too.
        let empty = groups.with("t.yaml", "group: t\ntask: []");
        assert!(empty.load("g0").unwrap_err().to_string().contains("over 2000"));
    }

    #[test]
    fn a_group_that_holds_itself_ends() {
        let library = Library::new().with("g.yaml", "group: g\ntask: [g]");
        assert!(library.load("g").unwrap_err().to_string().contains("nested"));
    }
}
