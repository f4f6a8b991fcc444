//! Rows that say who did what. Each is written between pushes, by the one writer, and none that cannot be
//! written fails a push.
use std::{collections::BTreeMap, error::Error, fmt::Display};

use tokio::runtime::Handle;

use super::{
    AdminError, Intake,
    admin::{Command, Reply},
    retried::retried,
};
use crate::domain::{AuditNote, AuditOutcome, SecretDigests, SourceBlock};

/// What the writer is asked to record.
pub(super) enum Record {
    Row {
        note: AuditNote,
        times: u64,
        reply: Reply<i64>,
    },
    End {
        id: i64,
        outcome: AuditOutcome,
        details: String,
        reply: Reply<()>,
    },
    Start {
        version: String,
        settings: BTreeMap<String, String>,
        secrets: SecretDigests,
        reply: Reply<()>,
    },
    Secrets {
        digests: SecretDigests,
        reply: Reply<()>,
    },
    FailedSignIns {
        failures: Vec<(Option<SourceBlock>, u64)>,
        reply: Reply<()>,
    },
}

/// A row that says that something has begun. Where nobody says how it ended, it was cut short.
pub struct Audited {
    intake: Intake,
    id: Option<i64>,
}

impl Audited {
    /// Says how it ended.
    pub async fn end(mut self, outcome: AuditOutcome, details: String) {
        if let Some(id) = self.id.take() {
            self.intake.end_audit(id, outcome, details).await;
        }
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else { return };
        let intake = self.intake.clone();
        runtime.spawn(async move {
            intake.end_audit(id, AuditOutcome::Failed, "cut short".to_owned()).await;
        });
    }
}

impl Intake {
    /// Writes a row.
    pub async fn audit(&self, note: AuditNote) -> Result<(), AdminError> {
        self.write_row(note, 1).await.map(drop)
    }

    async fn write_row(&self, note: AuditNote, times: u64) -> Result<i64, AdminError> {
        self.ask_audit(|reply| Record::Row { note, times, reply }).await
    }

    /// Writes of what happened so often already; tried again while the database does not take it.
    pub async fn audit_times(&self, note: AuditNote, times: u64) {
        let write = || self.write_row(note.clone(), times);
        if let Err(error) = retried(write).await {
            let (error, action) = (&error as &dyn Error, note.action);
            tracing::warn!(error, %action, "The audit lacks a row that could not be written");
        }
    }

    /// The same for what has happened already: where it cannot be written, the log says so.
    pub async fn audit_or_tell(&self, note: AuditNote) {
        let action = note.action;
        if let Err(error) = self.audit(note).await {
            let error = &error as &dyn Error;
            tracing::warn!(error, %action, "The audit lacks a row that could not be written");
        }
    }

    /// The same beside whoever has no time to wait.
    pub fn audit_beside(&self, note: AuditNote) {
        let Ok(runtime) = Handle::try_current() else { return };
        let intake = self.clone();
        runtime.spawn(async move { intake.audit_times(note, 1).await });
    }

    /// Writes that something has begun, before it does.
    pub async fn begin_audit(&self, note: AuditNote) -> Result<Audited, AdminError> {
        let note = AuditNote { outcome: AuditOutcome::Begun, ..note };
        let id = self.write_row(note, 1).await?;
        Ok(Audited { intake: self.clone(), id: Some(id) })
    }

    /// Does something between a row that says that it has begun, and one word on how it ended.
    pub(super) async fn audited<T, E: From<AdminError> + Display>(
        &self,
        note: AuditNote,
        doing: impl Future<Output = Result<T, E>>,
        says: impl FnOnce(&T) -> String,
    ) -> Result<T, E> {
        let audited = self.begin_audit(note).await?;
        let done = doing.await;
        match &done {
            Ok(done) => audited.end(AuditOutcome::Done, says(done)).await,
            Err(error) => audited.end(AuditOutcome::Failed, error.to_string()).await,
        }
        done
    }

    /// Writes that the server starts, and which settings have another digest than at the last start.
    pub async fn audit_start(
        &self,
        version: String,
        settings: BTreeMap<String, String>,
        secrets: SecretDigests,
    ) {
        let start = |reply| Record::Start { version, settings, secrets, reply };
        let written = self.ask_audit(start).await;
        if let Err(error) = written {
            let error = &error as &dyn Error;
            tracing::warn!(error, "The audit does not say that the server started");
        }
    }

    /// Keeps which secrets are in force since they were renewed, for the next start to compare with.
    pub async fn keep_secret_digests(&self, digests: SecretDigests) {
        let written = self.ask_audit(|reply| Record::Secrets { digests, reply }).await;
        if let Err(error) = written {
            let error = &error as &dyn Error;
            tracing::warn!(error, "The next start will record renewed secrets once more");
        }
    }

    /// Counts sign-ins that failed, by source; without one those that were too many to be told apart.
    pub async fn audit_failed_sign_ins(&self, failures: Vec<(Option<SourceBlock>, u64)>) {
        let written = self.ask_audit(|reply| Record::FailedSignIns { failures, reply }).await;
        if let Err(error) = written {
            let error = &error as &dyn Error;
            tracing::warn!(error, "The audit lacks failed sign-ins that could not be written");
        }
    }

    /// Writes how something ended; where the database does not take it now, beside whoever waits.
    async fn end_audit(&self, id: i64, outcome: AuditOutcome, details: String) {
        if self.write_end(id, outcome, &details).await.is_ok() {
            return;
        }
        let intake = self.clone();
        tokio::spawn(async move {
            let write = || intake.write_end(id, outcome, &details);
            if let Err(error) = retried(write).await {
                let error = &error as &dyn Error;
                tracing::warn!(error, id, "The audit does not say how something ended");
            }
        });
    }

    async fn write_end(
        &self,
        id: i64,
        outcome: AuditOutcome,
        details: &str,
    ) -> Result<(), AdminError> {
        let details = details.to_owned();
        self.ask_audit(|reply| Record::End { id, outcome, details, reply }).await
    }

    async fn ask_audit<T>(&self, record: impl FnOnce(Reply<T>) -> Record) -> Result<T, AdminError> {
        self.ask(|reply| Command::Audit(record(reply))).await
    }
}
