//! What an earlier process began to take away: it goes on beside pushes, as it would have there. Held by
//! `front::unfinished`.
use tokio::{sync::oneshot, time::Instant};

use super::{AdminError, Intake, chore_queue::Work, finished::rounded_seconds, retried::retried};
use crate::store::{Erased, FileSearch, Remains, RetractedCounts, StoreError, Unfinished};

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
        let began = Instant::now();
        for search in left.searches {
            // Why it failed was told.
            drop(self.search_again(&search).await);
        }
        for (search, ended) in left.erasures {
            let Ok(Ok(erased)) = ended.await else { continue };
            self.forget_in_memory().await;
            let searched = self.search_again(&search).await;
            self.tell_erased(&search.giccid, &erased, &searched, began.elapsed());
        }
        for ended in left.retractions {
            let Ok(Ok(counts)) = ended.await else { continue };
            let RetractedCounts { id, usage, sms, notifications, kept } = counts;
            self.shared.store.forget_tails().await;
            let seconds = rounded_seconds(began.elapsed());
            tracing::info!(id, usage, sms, notifications, kept, seconds, "Finished a retraction");
        }
    }

    async fn search_again(&self, search: &FileSearch) -> Result<Remains, AdminError> {
        retried(|| self.search_files(&search.giccid, search.id)).await
    }
}
