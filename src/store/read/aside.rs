//! Questions whose answers are computed here as well as in the database: made a plan for over decades,
//! folded from hundreds of thousands of cells. On a thread that answers requests, each would hold up
//! all pushes for as long as it computes.
use tokio::{runtime::Handle, select, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// Runs a question on a thread of its own, and ends it when its answer is not awaited any more.
pub(in crate::store) async fn aside<T: Send + 'static>(
    question: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let (given_up, runtime) = (CancellationToken::new(), Handle::current());
    let _ends_with_us = given_up.clone().drop_guard();
    let answering = spawn_blocking(move || {
        runtime.block_on(async {
            select! {
                biased;
                () = given_up.cancelled() => Err(StoreError::Busy),
                answer = question => answer,
            }
        })
    });
    // One that panics is told by the panic hook.
    answering.await.map_err(|_| StoreError::Busy)?
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_question_has_a_thread_of_its_own_and_ends_when_nobody_awaits_it() {
        let here = thread::current().id();
        let there = aside(async { Ok(thread::current().id()) }).await.expect("an answer");
        assert_ne!(here, there);
        let (held, dropped) = oneshot::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let endless = aside(async move {
            let _held = held;
            begin.send(()).expect("somebody waits");
            std::future::pending::<Result<(), StoreError>>().await
        });
        select! {
            _ = endless => panic!("it never ends by itself"),
            begun = begun => begun.expect("it has begun"),
        }
        assert!(dropped.await.is_err(), "what it held is dropped");
    }
}
