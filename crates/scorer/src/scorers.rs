//! All rules: making, pausing, resuming, removing, reading.
//!
//! A rule is an artifact; the version that the label [`ACTIVE`] points at scores, and a rule without it is paused. So whatever moves labels
//! is on the record, and of two who change a rule at once one is told.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use qd_base::{ArtifactName, Label, ProjectId, ProjectName, Timestamp, VersionId};
use qd_catalog::{ArtifactKind, Catalog, JobFilter, Page, VersionInfo, VersionRef};
use qd_judging::Judges;
use qd_lake::Lake;
use qd_trace::Traces;
use serde::Deserialize;
use serde_json::json;

use crate::definition::Definition;
use crate::job;
use crate::judged::JudgeRule;
use crate::standing::{Standing, Standings};
use crate::{Error, Result};

/// The label of the version that scores.
pub const ACTIVE: &str = "active";
/// Rules that score at once at most, in all projects: each asks the lake every second.
pub const MOST_ACTIVE: usize = 24;
/// Jobs among which the last checkpoint is looked for.
const MOST_JOBS: u32 = 20;

/// Rules of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Scorers {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) traces: Traces,
    /// Who is asked where rules say so; nobody where there are none.
    pub(crate) judges: Option<Judges>,
    /// Versions of which it was said that they cannot be read.
    unreadable: Arc<Mutex<HashSet<VersionId>>>,
}

/// A version of a rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which one.
    pub info: VersionInfo,
    /// What it does.
    pub definition: Definition,
    /// Since when it scores; none while it does not.
    pub active: Option<Timestamp>,
    /// Where it stands; none as long as it has not looked.
    pub standing: Option<Standing>,
}

/// A rule that scores.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    pub info: VersionInfo,
    pub project: ProjectName,
    pub definition: Definition,
    /// What ended before is not looked at.
    pub since: Timestamp,
}

/// As whom a version gives scores.
pub fn author(name: &ArtifactName, number: u32) -> String {
    format!("scorer:{name}@{number}")
}

fn active() -> Label {
    ACTIVE.parse().expect("the word is a label")
}

impl Scorers {
    /// Rules over these rooms.
    pub fn new(catalog: Catalog, lake: Lake, traces: Traces) -> Self {
        Self { catalog, lake, traces, judges: None, unreadable: Arc::default() }
    }

    /// The same with judges, which rules may name.
    pub fn with_judges(self, judges: Judges) -> Self {
        Self { judges: Some(judges), ..self }
    }

    /// Makes a version of a rule, which scores from now on in the place of the one before. The same definition as the latest version's is
    /// that version.
    ///
    /// # Errors
    /// [`Error::Definition`] for a rule that cannot be followed, [`Error::TooMany`].
    pub async fn create(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        mut definition: Definition,
        actor: &str,
    ) -> Result<Rule> {
        definition.read()?;
        if let Some(of_rule) = &mut definition.judge {
            self.pin(project, of_rule, actor).await?;
        }
        if self.active_number(project, name).await?.is_none() {
            self.check_room().await?;
        }
        let catalog = self.catalog.acting(actor)?;
        let content = json!(definition).to_string();
        let put = catalog.put_version(project, ArtifactKind::Scorer, name, content.as_bytes(), json!({}), &[]).await?;
        self.activate(&catalog, &put.info).await?;
        self.get(project, name, &VersionRef::Number(put.info.number)).await
    }

    /// Sees to it that a judge can be asked about calls, and pins it to its version.
    async fn pin(&self, project: ProjectId, of_rule: &mut JudgeRule, actor: &str) -> Result<()> {
        let none = || Error::definition("judge", "there is nobody who could ask a judge");
        let judges = self.judges.as_ref().ok_or_else(none)?;
        of_rule.inputs(&judges.look_up(project, &of_rule.judge).await?)?;
        of_rule.judge = judges.acting(actor)?.find(project, &of_rule.judge).await?.reference();
        Ok(())
    }

    /// Sees to it that a rule scores no more, until it is resumed. What happens meanwhile is never scored.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none, or somebody else changes it.
    pub async fn pause(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<Rule> {
        if let Some(number) = self.active_number(project, name).await? {
            let catalog = self.catalog.acting(actor)?;
            catalog.remove_label(project, ArtifactKind::Scorer, name, &active(), number).await?;
        }
        self.get(project, name, &VersionRef::Latest).await
    }

    /// Sees to it that the latest version of a rule scores from now on.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none, or somebody else changes it; [`Error::TooMany`].
    pub async fn resume(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<Rule> {
        let latest = self.get(project, name, &VersionRef::Latest).await?;
        if latest.active.is_some() {
            return Ok(latest);
        }
        if self.active_number(project, name).await?.is_none() {
            self.check_room().await?;
        }
        self.activate(&self.catalog.acting(actor)?, &latest.info).await?;
        self.get(project, name, &VersionRef::Latest).await
    }

    /// Removes a rule with all its versions. The scores that it gave stay.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn remove(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<()> {
        let catalog = self.catalog.acting(actor)?;
        Ok(catalog.remove_artifact(project, ArtifactKind::Scorer, name).await?)
    }

    /// A version of a rule.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn get(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Rule> {
        let standings = self.standings().await?;
        self.read(project, name, which, &standings).await
    }

    /// The latest version of each rule of a project, by name.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Rule>> {
        let standings = self.standings().await?;
        let mut rules = Vec::new();
        for known in self.catalog.artifacts(project, ArtifactKind::Scorer).await? {
            match self.read(project, &known.name, &VersionRef::Latest, &standings).await {
                Ok(rule) => rules.push(rule),
                // It hides no other. Asked for by its name it says why it cannot be read.
                Err(Error::Catalog(error @ qd_catalog::Error::Corrupt { .. })) => {
                    tracing::warn!(rule = %known.name, %error, "a rule cannot be read and is not listed");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(rules)
    }

    async fn read(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        which: &VersionRef,
        standings: &Standings,
    ) -> Result<Rule> {
        let version = self.catalog.version(project, ArtifactKind::Scorer, name, which).await?;
        let labels = self.catalog.labels(project, ArtifactKind::Scorer, name).await?;
        let here = labels.iter().find(|at| at.label.as_str() == ACTIVE && at.number == version.info.number);
        Ok(Rule {
            definition: version.read_content()?,
            active: here.map(|record| record.moved),
            standing: standings.0.get(&version.info.id).cloned(),
            info: version.info,
        })
    }

    async fn active_number(&self, project: ProjectId, name: &ArtifactName) -> Result<Option<u32>> {
        let labels = self.catalog.labels(project, ArtifactKind::Scorer, name).await?;
        Ok(labels.iter().find(|record| record.label.as_str() == ACTIVE).map(|record| record.number))
    }

    async fn check_room(&self) -> Result<()> {
        match self.active_versions().await?.len() < MOST_ACTIVE {
            true => Ok(()),
            false => Err(Error::TooMany { most: MOST_ACTIVE }),
        }
    }

    async fn activate(&self, catalog: &Catalog, info: &VersionInfo) -> Result<()> {
        let before = self.active_number(info.project, &info.name).await?;
        if before != Some(info.number) {
            let (kind, name) = (ArtifactKind::Scorer, &info.name);
            catalog.set_label(info.project, kind, name, &active(), before, info.number).await?;
        }
        self.wake().await
    }

    /// Names and numbers of the versions that score, with when they began to.
    async fn active_versions(&self) -> Result<Vec<(ProjectId, ProjectName, ArtifactName, u32, Timestamp)>> {
        let mut found = Vec::new();
        for project in self.catalog.projects().await? {
            let labels = self.catalog.labels_of_kind(project.id, ArtifactKind::Scorer).await?;
            for (name, record) in labels.into_iter().filter(|(_, record)| record.label.as_str() == ACTIVE) {
                found.push((project.id, project.name.clone(), name, record.number, record.moved));
            }
        }
        Ok(found)
    }

    /// The rules that score.
    pub(crate) async fn active(&self) -> Result<Vec<Active>> {
        let mut rules = Vec::new();
        for (id, project, name, number, since) in self.active_versions().await? {
            let which = VersionRef::Number(number);
            match self.catalog.version(id, ArtifactKind::Scorer, &name, &which).await {
                Ok(version) => match version.read_content() {
                    Ok(definition) => rules.push(Active { definition, project, since, info: version.info }),
                    Err(error) => self.complain(&version.info, &error),
                },
                // It was removed since its label was read.
                Err(qd_catalog::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rules)
    }

    /// Says once that a rule cannot be read, as one of a later version of this program. The others score all the same.
    fn complain(&self, info: &VersionInfo, error: &qd_catalog::Error) {
        let mut unreadable = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if unreadable.insert(info.id) {
            tracing::error!(rule = %info.name, version = info.number, %error, "a rule cannot be read and does not score");
        }
    }

    /// Which of these versions are still there.
    pub(crate) async fn remaining(&self, versions: impl Iterator<Item = VersionId>) -> Result<Vec<VersionId>> {
        let mut there = Vec::new();
        for id in versions {
            match self.catalog.version_by_id(id).await {
                Ok(_) => there.push(id),
                Err(qd_catalog::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(there)
    }

    /// Where all rules stand, as the last job that noted it has it.
    pub(crate) async fn standings(&self) -> Result<Standings> {
        let filter = JobFilter { kind: Some(job::kind()), ..JobFilter::default() };
        let jobs = self.catalog.jobs(&filter, Page::first(MOST_JOBS)).await?.items;
        let noted = jobs.iter().find_map(|job| Standings::deserialize(job.checkpoint.as_ref()?).ok());
        Ok(noted.unwrap_or_default())
    }
}
