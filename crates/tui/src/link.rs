//! Speaks with the relay: streams in, changes out. A relay that goes away is dialled again.
//!
//! In: an address, and what is to be done. Out: updates. One message a second at least comes from a
//! relay that is there; none for three seconds is a stale link, none for ten a lost one.

use std::time::Duration;

use futures_util::future::OptionFuture;
use relay_api::v1::{self, ChangeOptions};
use relay_api::{Address, Connection, Credentials, connect};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, interval, sleep, sleep_until};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::run::unix;
use crate::state::{Link, Todo, Update, Wish};

/// Silence after which the link is stale.
const STALE: Duration = Duration::from_secs(3);
/// Silence after which it is lost.
const LOST: Duration = Duration::from_secs(10);
/// Waits between tries, in seconds; the last one stays.
const WAITS: [u64; 5] = [1, 2, 4, 8, 10];
/// Requests and events to begin with.
const BACKLOG: u32 = 200;
/// What happens to requests that is told of in a second at most: the lists keep a thousand.
const MOST: u32 = 3_000;
/// Between two questions for what no stream tells.
const ASK: Duration = Duration::from_secs(2);

/// Speaks with the relay until nobody listens any more.
pub(crate) async fn run(
    (address, credentials): (Address, Credentials),
    updates: Sender<Update>,
    mut todos: Receiver<Todo>,
) {
    let mut tries = 0_usize;
    let mut window_s = 60;
    let mut lost_at = unix();
    loop {
        match connect(&address, &credentials).await {
            Ok(api) => {
                tries = 0;
                let status = live(api, &updates, (&mut todos, &mut window_s)).await;
                lost_at = unix();
                let Some(status) = status else { return };
                if is_final(&status) {
                    let why = said(&status);
                    let link = Link::Lost {
                        since: lost_at,
                        next: None,
                        why,
                    };
                    drop(updates.send(Update::Link(link)).await);
                    if !wait_for_wish(&mut todos, None).await {
                        return;
                    }
                    continue;
                }
            }
            Err(error) if tries == 0 => {
                drop(
                    updates
                        .send(Update::Link(lost(lost_at, None, error.to_string())))
                        .await,
                );
            }
            Err(_) => {}
        }
        let seconds = WAITS.get(tries).or(WAITS.last()).copied().unwrap_or(10);
        tries = tries.saturating_add(1);
        let wait = Duration::from_secs(seconds);
        let next = unix().saturating_add(wait);
        let why = format!("{address} does not answer");
        if updates
            .send(Update::Link(lost(lost_at, Some(next), why)))
            .await
            .is_err()
        {
            return;
        }
        if !wait_for_wish(&mut todos, Some(wait)).await {
            return;
        }
    }
}

fn lost(since: Duration, next: Option<Duration>, why: String) -> Link {
    Link::Lost { since, next, why }
}

/// Waits until it is time to try again, or somebody says so. False where nobody is there any more.
async fn wait_for_wish(todos: &mut Receiver<Todo>, wait: Option<Duration>) -> bool {
    let timer = OptionFuture::from(wait.map(sleep));
    tokio::pin!(timer);
    loop {
        tokio::select! {
            Some(()) = &mut timer => return true,
            todo = todos.recv() => match todo {
                None => return false,
                Some(Todo::Dial) => return true,
                // Nothing else can be done now.
                Some(_) => {}
            }
        }
    }
}

/// Tells whether it pays to ask again.
fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    )
}

/// Says a refusal in words, with what to do.
fn said(status: &Status) -> String {
    let info = status.get_details_error_info();
    match info.and_then(|info| info.metadata.get("fix").cloned()) {
        Some(fix) => format!("{}; {fix}", status.message()),
        None => status.message().to_owned(),
    }
}

/// What streams in.
struct Streams {
    stats: Streaming<v1::StreamStatsResponse>,
    requests: Streaming<v1::StreamRequestsResponse>,
    events: Streaming<v1::StreamEventsResponse>,
}

impl Streams {
    async fn open(api: &mut Connection, window_s: u32) -> Result<Self, Status> {
        let requests = v1::StreamRequestsRequest {
            backlog: BACKLOG,
            max_per_second: MOST,
            ..v1::StreamRequestsRequest::default()
        };
        let events = v1::StreamEventsRequest {
            backlog: BACKLOG,
            least: v1::Level::Info.into(),
        };
        Ok(Self {
            stats: stats(api, window_s).await?,
            requests: api.stream_requests(requests).await?.into_inner(),
            events: api.stream_events(events).await?.into_inner(),
        })
    }

    /// Waits for the next message; an update, if there is something in it.
    async fn next(&mut self) -> Result<Option<Update>, Status> {
        let ended = || Status::unavailable("the relay has ended the stream");
        tokio::select! {
            message = self.stats.message() => {
                let message = message?.ok_or_else(ended)?;
                let instance = message.mark.unwrap_or_default().instance_id;
                Ok(message.stats.map(|stats| Update::Stats(Box::new(stats), instance)))
            }
            message = self.requests.message() => {
                let message = message?.ok_or_else(ended)?;
                Ok(message.request.map(|request| Update::Request(Box::new(request))))
            }
            message = self.events.message() => {
                let message = message?.ok_or_else(ended)?;
                Ok(message.event.map(Update::Event))
            }
        }
    }
}

/// Asks for the state each second, with rates of so many seconds.
async fn stats(
    api: &mut Connection,
    window_s: u32,
) -> Result<Streaming<v1::StreamStatsResponse>, Status> {
    let asked = v1::StreamStatsRequest {
        interval_ms: 1_000,
        window_s,
    };
    Ok(api.stream_stats(asked).await?.into_inner())
}

/// Speaks with a relay that answers. `None` where nobody listens any more; else why it ended.
async fn live(
    mut api: Connection,
    updates: &Sender<Update>,
    (todos, window_s): (&mut Receiver<Todo>, &mut u32),
) -> Option<Status> {
    let mut streams = match Streams::open(&mut api, *window_s).await {
        Ok(streams) => streams,
        Err(status) => return Some(status),
    };
    let mut heard = Instant::now();
    let mut is_stale = false;
    let mut asks = interval(ASK);
    loop {
        let silence = if is_stale { LOST } else { STALE };
        let update = tokio::select! {
            message = streams.next() => {
                heard = Instant::now();
                is_stale = false;
                match message {
                    Ok(update) => update,
                    Err(status) => return Some(status),
                }
            }
            () = sleep_until(heard.checked_add(silence).unwrap_or(heard)) => {
                if is_stale {
                    return Some(Status::unavailable("the relay is silent"));
                }
                is_stale = true;
                Some(Update::Link(Link::Stale { since: unix() }))
            }
            _ = asks.tick() => perform(&mut api, Todo::Sessions).await,
            todo = todos.recv() => {
                let todo = todo?;
                if let Todo::Window(wanted) = todo {
                    *window_s = wanted;
                    match stats(&mut api, wanted).await {
                        Ok(stream) => streams.stats = stream,
                        Err(status) => return Some(status),
                    }
                }
                perform(&mut api, todo).await
            }
        };
        if let Some(update) = update
            && updates.send(update).await.is_err()
        {
            return None;
        }
    }
}

/// Does what is to be done; returns what came of it.
async fn perform(api: &mut Connection, todo: Todo) -> Option<Update> {
    let done = match todo {
        Todo::Consider(wish) => make(api, &wish, true)
            .await
            .map(|change| Update::Considered(wish, change)),
        Todo::Make(wish) => make(api, &wish, false)
            .await
            .map(|change| Update::Done(Ok(change.summary))),
        Todo::Reload => api
            .reload_config(v1::ReloadConfigRequest { dry_run: false })
            .await
            .map(|it| Update::Reloaded(it.into_inner())),
        Todo::Sessions => api
            .list_sessions(v1::ListSessionsRequest { limit: 200 })
            .await
            .map(|it| Update::Sessions(it.into_inner().sessions)),
        Todo::Config => api
            .get_config(v1::GetConfigRequest {})
            .await
            .map(|it| Update::Config(Box::new(it.into_inner()))),
        Todo::Strategies => api
            .get_routing_strategy(v1::GetRoutingStrategyRequest {})
            .await
            .map(|it| Update::Strategies(it.into_inner())),
        // Done by others, or elsewhere here.
        Todo::Dial
        | Todo::Quit
        | Todo::Theme(_)
        | Todo::Copy(_)
        | Todo::Window(_)
        | Todo::Export { .. }
        | Todo::Redraw
        | Todo::Suspend => return None,
    };
    Some(done.unwrap_or_else(|status| Update::Done(Err(said(&status)))))
}

#[expect(clippy::too_many_lines, reason = "a call for each wish")]
async fn make(api: &mut Connection, wish: &Wish, dry_run: bool) -> Result<v1::Change, Status> {
    let options = Some(ChangeOptions {
        dry_run,
        persist: false,
    });
    let change = match wish.clone() {
        Wish::Provider {
            name,
            enabled: true,
        } => {
            api.enable_provider(v1::EnableProviderRequest { name, options })
                .await?
                .into_inner()
                .change
        }
        Wish::Provider {
            name,
            enabled: false,
        } => {
            api.disable_provider(v1::DisableProviderRequest { name, options })
                .await?
                .into_inner()
                .change
        }
        Wish::Key {
            provider,
            name,
            enabled: true,
        } => {
            api.enable_key(v1::EnableKeyRequest {
                provider,
                name,
                options,
            })
            .await?
            .into_inner()
            .change
        }
        Wish::Key {
            provider,
            name,
            enabled: false,
        } => {
            api.disable_key(v1::DisableKeyRequest {
                provider,
                name,
                options,
            })
            .await?
            .into_inner()
            .change
        }
        Wish::Reset { provider, key } => {
            api.end_cooldown(v1::EndCooldownRequest {
                provider,
                key,
                options,
            })
            .await?
            .into_inner()
            .change
        }
        Wish::Route(strategy) => {
            api.set_routing_strategy(v1::SetRoutingStrategyRequest { strategy, options })
                .await?
                .into_inner()
                .change
        }
        Wish::Unpin(id) => {
            api.unpin_session(v1::UnpinSessionRequest { id, options })
                .await?
                .into_inner()
                .change
        }
    };
    change.ok_or_else(|| Status::internal("the relay said nothing of the change"))
}
