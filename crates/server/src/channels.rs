//! Lists channels, and sends messages to them.

use super::ApiState;
use super::caller::Person;
use super::error::ApiError;
use super::read::{Body, Segment};
use axum::Json;
use axum::extract::State;
use orch_api::channels::{ChannelState, ChannelView, DeadView, NewNotice, NoticeState, NoticeView};
use orch_api::error::ErrorCode;
use orch_config::resolved_channels::Channels;
use orch_core::notices::outbox::{DROPPED, LISTENING, OutboxItem, PLACE, Stage, TROUBLE};
use orch_core::operations::channel::ChannelKind;
use orch_engine::Mode;

/// The longest text, in characters: what is longer belongs into a file.
const MAX_TEXT: usize = 1_500;
/// The most messages that were given up that are shown.
const DEAD: usize = 20;
/// Lists all channels.
pub async fn list(State(state): State<ApiState>) -> Result<Json<Vec<ChannelView>>, ApiError> {
    let settings = state.engine.snapshot().await?.settings;
    let mut all = Vec::new();
    for kind in ChannelKind::ALL {
        all.push(view(&state, kind, &settings.config.channels).await?);
    }
    Ok(Json(all))
}

async fn view(state: &ApiState, kind: ChannelKind, channels: &Channels) -> Result<ChannelView, ApiError> {
    let rows = state.engine.outbox(kind).await?;
    let (out, into) = (state.engine.kept(kind, TROUBLE).await?, state.engine.kept(kind, LISTENING).await?);
    let into = into.filter(|why| out.as_ref() != Some(why));
    let reasons: Vec<String> = out.into_iter().chain(into).collect();
    let trouble = (channels.is_on(kind) && !reasons.is_empty()).then(|| reasons.join("; "));
    let dropped = state.engine.kept(kind, DROPPED).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
    let channel_state = match (channels.is_on(kind), &trouble) {
        (false, _) => ChannelState::Off,
        // No message is sent, whatever a daemon met with when it still ran.
        (true, _) if !tells(state.process.mode) => ChannelState::NoDaemon,
        (true, None) => ChannelState::On,
        (true, Some(_)) => ChannelState::Trouble,
    };
    let sent = |parcel: &OutboxItem| match parcel.state {
        Stage::Sent { at, .. } => Some(at),
        Stage::Pending | Stage::Merged { .. } | Stage::Dead { .. } => None,
    };
    let dead: Vec<DeadView> = rows.iter().filter_map(dead).collect();
    let pending = |id: u64| rows.iter().any(|parcel| parcel.id == id && parcel.state == Stage::Pending);
    let waits = |parcel: &&OutboxItem| match parcel.state {
        Stage::Pending => true,
        Stage::Merged { into } => pending(into),
        Stage::Sent { .. } | Stage::Dead { .. } => false,
    };
    Ok(ChannelView {
        name: kind,
        state: channel_state,
        trouble,
        allowed: channels.allowed_count(kind),
        pending: rows.iter().filter(waits).count(),
        dropped,
        last_sent_at: rows.iter().filter_map(sent).max(),
        dead: dead.into_iter().rev().take(DEAD).rev().collect(),
    })
}

/// Whether such an engine keeps the channels; another one is there for a moment, and sends no messages.
fn tells(mode: Mode) -> bool {
    matches!(mode, Mode::Serve | Mode::UntilIdle)
}

fn dead(parcel: &OutboxItem) -> Option<DeadView> {
    let Stage::Dead { at, why } = &parcel.state else { return None };
    let notice = &parcel.notice;
    let (seq, kind) = (notice.seq, notice.kind.as_str().to_owned());
    Some(DeadView { seq, kind, text: notice.text.clone(), at: *at, why: why.clone() })
}

/// Sends a message to channels.
pub async fn notify(Person(state): Person, Body(new): Body<NewNotice>) -> Result<Json<Vec<NoticeView>>, ApiError> {
    let invalid = |message: String, hint: &str| ApiError::new(ErrorCode::Usage, message, Some(hint));
    if new.text.trim().is_empty() {
        return Err(invalid("there is nothing to say".to_owned(), "orch notify \"the build is green\""));
    }
    if new.text.chars().count() > MAX_TEXT {
        return Err(invalid(format!("the text is longer than {MAX_TEXT} characters"), "say it in fewer words"));
    }
    let settings = state.engine.snapshot().await?.settings;
    let channels = &settings.config.channels;
    let mut wanted = Vec::new();
    for name in &new.channels {
        let kind = ChannelKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        let kind = kind.ok_or_else(|| {
            let message = format!("there is no channel {name:?}");
            ApiError::new(ErrorCode::NotFound, message, Some("telegram, discord, webhook or desktop"))
        })?;
        if !channels.is_on(kind) {
            let hint = format!("orch channel add {kind}");
            return Err(ApiError::new(ErrorCode::NotFound, format!("channel {kind} is off"), Some(&hint)));
        }
        wanted.push(kind);
    }
    let on: Vec<ChannelKind> = ChannelKind::ALL.into_iter().filter(|kind| channels.is_on(*kind)).collect();
    if on.is_empty() {
        let hint = "orch channel add telegram (or discord, webhook, desktop)";
        return Err(ApiError::new(ErrorCode::NotFound, "no channel is set up", Some(hint)));
    }
    let pending = |seq: u64, kind: ChannelKind| NoticeView {
        seq,
        channel: kind,
        state: NoticeState::Pending,
        attempts: 0,
        error: None,
    };
    // A token that changed in its file is the one that this is said with.
    state.registry.catch_up().await;
    // One that no daemon has taken up yet starts with what happens from now on, this included.
    let last = state.engine.snapshot().await?.last_seq;
    for kind in &on {
        if state.engine.kept(*kind, PLACE).await?.is_none() {
            state.engine.keep(*kind, PLACE, Some(last.to_string())).await?;
        }
    }
    let mut views = Vec::new();
    if wanted.is_empty() {
        let seq = state.engine.announce(None, new.text).await?;
        views.extend(on.into_iter().map(|kind| pending(seq, kind)));
    } else {
        wanted.sort_unstable();
        wanted.dedup();
        for kind in wanted {
            views.push(pending(state.engine.announce(Some(kind), new.text.clone()).await?, kind));
        }
    }
    Ok(Json(views))
}

/// What became of a line of the history in the channels.
pub async fn notice(
    State(state): State<ApiState>,
    Segment(seq): Segment<u64>,
) -> Result<Json<Vec<NoticeView>>, ApiError> {
    let mut views = Vec::new();
    for kind in ChannelKind::ALL {
        let rows = state.engine.outbox(kind).await?;
        let Some(parcel) = rows.iter().find(|parcel| parcel.notice.seq == seq) else { continue };
        // One that goes with another is as far as that one.
        let lead = match parcel.state {
            Stage::Merged { into } => rows.iter().find(|lead| lead.id == into).unwrap_or(parcel),
            Stage::Pending | Stage::Sent { .. } | Stage::Dead { .. } => parcel,
        };
        let stage = match lead.state {
            Stage::Pending => NoticeState::Pending,
            Stage::Sent { .. } | Stage::Merged { .. } => NoticeState::Sent,
            Stage::Dead { .. } => NoticeState::Dead,
        };
        views.push(NoticeView { seq, channel: kind, state: stage, attempts: lead.attempts, error: lead.error.clone() });
    }
    Ok(Json(views))
}
