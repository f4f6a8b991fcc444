//! A batch that the database refuses for its data.
//!
//! What is at fault is found by halves, first among the pushes, then among the records of each push
//! that fails alone. Whatever can be stored is stored, pushes without a fault first; what cannot lies
//! aside by itself. It takes a commit for each halving, never one for each record.
use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    mem, slice,
    time::Instant,
};

use super::{
    Intake,
    accept::{Unstored, quarantine},
    answers,
    queue::{Origin, Ticket},
    task::{Batch, IntakeError, WriterTask, sum, verdict_of},
};
use crate::{
    domain::{HeldReason, NewHeld, NewRecord, SourceBlock},
    smarthub::{Body, ReadRules},
    store::{Outcome, StoreError, Submission, Verdict},
};

/// So often is a part of a push halved for each batch and sender, so that nobody takes those of
/// another. A record that is at fault takes as many as its push has records, by their logarithm; where
/// far more are at fault, they lie aside together.
const HALVINGS_MAX: u32 = 32;

impl WriterTask {
    /// Stores what can be of a batch that failed.
    pub(super) async fn commit_in_parts(&mut self, batch: Batch) -> Result<(), IntakeError> {
        let mut faulty = Vec::new();
        let mut parts = batch.halves(&mut faulty);
        while let Some(part) = parts.pop() {
            match self.commit_part(&part.submissions).await {
                Ok(verdicts) => self.answers.give(part, verdicts),
                Err(error) if error.is_of_data() => parts.extend(part.halves(&mut faulty)),
                Err(error) => {
                    part.send_away();
                    self.failed(error)?;
                }
            }
        }
        let mut halvings = HashMap::new();
        for (submission, ticket) in faulty {
            let sender = submission.source.map(SourceBlock::from);
            let halvings = halvings.entry(sender).or_insert(HALVINGS_MAX);
            match self.commit_without_refused(submission, &ticket, halvings).await {
                Ok(answer) => answers::answer(&self.intake, ticket, answer),
                Err(error) => {
                    ticket.answer(Err(Unstored::Busy));
                    self.failed(error)?;
                }
            }
        }
        Ok(())
    }

    /// Stores a push without the records that the database refuses.
    async fn commit_without_refused(
        &mut self,
        mut submission: Submission,
        ticket: &Ticket,
        halvings: &mut u32,
    ) -> Result<Result<Outcome, Unstored>, StoreError> {
        let kept_from = self.writer.kept_from();
        let (too_old, records): (Vec<_>, Vec<_>) = mem::take(&mut submission.records)
            .into_iter()
            .partition(|new| !submission.is_test && kept_from.refuses(new));
        let mut refused: BTreeSet<_> = too_old.iter().map(NewRecord::key).collect();
        let too_old = refused.len();
        // What was retracted after it was read lies aside, too, as if it were read now.
        let (retracted, records): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|new| self.writer.is_retracted(&submission, new));
        let mut all = Outcome::default();
        let mut first_error = None;
        let mut parts = vec![records];
        while let Some(records) = parts.pop() {
            if records.is_empty() {
                continue;
            }
            let Submission { source, is_test, .. } = submission;
            let also_from = submission.also_from.clone();
            let part = Submission { records, source, also_from, is_test, ..Submission::default() };
            match self.commit_part(slice::from_ref(&part)).await {
                Ok(verdicts) => {
                    let stored = verdicts.into_iter().filter_map(|it| verdict_of(it).ok());
                    all = stored.fold(all, sum);
                }
                Err(error) if !error.is_of_data() => return Err(error),
                Err(error) if part.records.len() == 1 || *halvings == 0 => {
                    first_error.get_or_insert(error);
                    refused.extend(part.records.iter().map(NewRecord::key));
                }
                Err(_) => {
                    *halvings -= 1;
                    let mut first = part.records;
                    let second = first.split_off(first.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        if let Some(error) = &first_error {
            let (error, records) = (error as &dyn Error, refused.len() - too_old);
            tracing::error!(error, records, "The database refused what a push holds");
        }
        if !refused.is_empty() || !retracted.is_empty() {
            if ticket.origin.is_held_as_authentic && all == Outcome::default() {
                // It stays where it is.
                let quarantined = refused.len() as u64;
                return Ok(Ok(Outcome { quarantined, ..all }));
            }
            submission.quarantine = self.intake.set_aside(&ticket.origin, &refused);
        }
        let verdicts = self.commit_part(slice::from_ref(&submission)).await?;
        let rest = verdicts.into_iter().next().map_or(Err(Unstored::Busy), verdict_of);
        Ok(rest.map(|rest| sum(all, rest)))
    }

    async fn commit_part(&mut self, part: &[Submission]) -> Result<Vec<Verdict>, StoreError> {
        let (now, began) = (self.intake.now(), Instant::now());
        let verdicts = self.writer.commit(part, now).await?;
        let records = part.iter().map(|submission| submission.records.len()).sum();
        self.intake.shared.commits.note(began.elapsed(), records);
        Ok(verdicts)
    }
}

impl Batch {
    /// The two halves of a batch that failed, the first last; a single push is put to those that
    /// fail alone.
    fn halves(mut self, faulty: &mut Vec<(Submission, Ticket)>) -> Vec<Self> {
        if self.submissions.len() == 1 {
            faulty.extend(self.submissions.into_iter().zip(self.tickets));
            return Vec::new();
        }
        let middle = self.submissions.len() / 2;
        let second = Self {
            submissions: self.submissions.split_off(middle),
            tickets: self.tickets.split_off(middle),
        };
        vec![second, self]
    }

    /// None of it can be stored now.
    pub(super) fn send_away(self) {
        for ticket in self.tickets {
            ticket.answer(Err(Unstored::Busy));
        }
    }
}

impl Intake {
    /// Reads a push again, without these records: what it holds beside what can be stored.
    fn set_aside(&self, origin: &Origin, refused: &BTreeSet<(i64, i64)>) -> Vec<NewHeld> {
        let Origin { push, age, read_at, .. } = origin;
        let authentic = Body::parse(&push.body).ok().and_then(|body| body.trust().ok());
        let Some(authentic) = authentic else {
            return vec![whole(origin)];
        };
        let retracted = self.retracted();
        let retracted = age.map(|_| &*retracted);
        let rules = self.rules(push, *age, retracted, *read_at);
        let rules = ReadRules { refused: Some(refused), ..rules };
        quarantine(authentic.read(&rules).unread, &push.kind, push.source)
    }
}

/// All of a push, for quarantine.
fn whole(origin: &Origin) -> NewHeld {
    let push = &origin.push;
    let body = match Body::parse(&push.body) {
        Ok(body) => body.without_signature().0,
        Err(_) => push.body.to_vec(),
    };
    NewHeld {
        ring: None,
        reason: HeldReason::StoreRefused,
        field: None,
        kind: push.kind.clone(),
        source: push.source,
        body: body.into(),
        signatures: None,
        pushed_at: None,
    }
}
