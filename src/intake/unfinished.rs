//! What an earlier process began to take away: it goes on beside pushes, as it would have there. Held by
//! `front::unfinished`.
use std::error::Error;

use tokio::sync::oneshot;

use super::{Intake, chore_queue::Work, retried::retried};
use crate::store::{Erased, FileSearch, RetractedCounts, StoreError, Unfinished};

type Ended<T> = oneshot::Receiver<Result<T, StoreError>>;

/// What follows when that has ended.
#[derive(Default)]
pub(super) struct Followed {
    erasures: Vec<(FileSearch, Ended<Erased>)>,
    retractions: Vec<Ended<RetractedCounts>>,
    searches: Vec<FileSearch>,
}

/// The work that is left, and what follows it.
pub(super) fn take_up(left: Unfinished) -> (Vec<Work>, Followed) {
    let (mut works, mut followed) = (Vec::new(), Followed::default());
    for work in left.erasures {
        let (reply, ended) = oneshot::channel();
        if let Ok(giccid) = work.giccid().parse() {
            let search = FileSearch { id: work.erased().id, giccid };
            followed.erasures.push((search, ended));
        }
        works.push(Work::Erase(work, reply));
    }
    for work in left.retractions {
        let (reply, ended) = oneshot::channel();
        followed.retractions.push(ended);
        works.push(Work::Retract(work, reply));
    }
    followed.searches = left.searches;
    (works, followed)
}

impl Intake {
    /// Does what follows. What fails was told by the writer, and is taken up again by the next start.
    pub(super) async fn follow(&self, left: Followed) {
        for search in left.searches {
            self.search_again(&search).await;
        }
        for (search, ended) in left.erasures {
            let Ok(Ok(Erased { id, usage, sms, notifications, held })) = ended.await else {
                continue;
            };
            tracing::info!(id, usage, sms, notifications, held, "Finished an erasure");
            self.forget_in_memory().await;
            self.search_again(&search).await;
        }
        for ended in left.retractions {
            let Ok(Ok(counts)) = ended.await else { continue };
            let RetractedCounts { id, usage, sms, notifications, kept } = counts;
            self.shared.store.forget_tails().await;
            tracing::info!(id, usage, sms, notifications, kept, "Finished a retraction");
        }
    }

    async fn search_again(&self, search: &FileSearch) {
        if let Err(error) = retried(|| self.search_files(&search.giccid, search.id)).await {
            let error = &error as &dyn Error;
            tracing::warn!(
                error,
                "The files were not searched for what is left of an erased SIM; the next start does it"
            );
        }
    }
}
