//! Counting chords in Redis together with Python workers, under Celery's keys (`celery/backends/redis.py:
//! on_chord_part_return`): `<group>.j` holds the returned parts by position, `.d` the tasks that have returned,
//! `.s` the size of the header, `.t` the number to add to it, and `.c` the worker that sends the body, or the mark
//! that it was sent.

use std::time::{Duration, Instant};

use celery_protocol::{Value, json};
use explain::explain;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::FromRedisValue;
use uuid::Uuid;

use super::chord::{Broken, Claim, Join, Part};
use super::redis_results::{EXPIRES, RedisResults, WrongType};

/// Seconds for which one worker holds the claim on a complete chord to prepare its body: twice Celery's
/// `result_chord_join_timeout` of 3 s.
const CLAIM: u64 = 6;

/// Seconds for which the worker then holds the claim to send the body.
const SENDING: u64 = 21;

/// Seconds for which late duplicates are recognised after the body was sent.
const DONE: u64 = 300;

/// Longest wait for the results of a nested header.
const JOIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long to leave a complete chord to the worker that has claimed it before checking again.
const CLAIMED: Duration = Duration::from_millis(500);

/// Counts a part, only once, however often its task runs. Returns 1 if that completes the chord and this worker is
/// to send the body, which is also the answer if the script runs twice; 2 if another worker has the claim.
const RETURNED: &str = "
local j, t, s, d, g, c = unpack(KEYS)
local member, part, score, keep, token, hold = unpack(ARGV)
local claim = redis.call('GET', c)
if claim == 'done' then return 0 end
if claim == token then return 1 end
if redis.call('SISMEMBER', d, member) == 0 then
    redis.call('ZADD', j, score, part)
    redis.call('SADD', d, member)
end
for _, key in ipairs({j, t, s, d, g}) do redis.call('EXPIRE', key, keep) end
local size = redis.call('GET', s)
if not size or redis.call('ZCARD', j) ~= size + (redis.call('GET', t) or 0) then return 0 end
if redis.call('SET', c, token, 'NX', 'EX', hold) then return 1 end
return 2
";

/// Renews the claim, or takes it again if it has expired while the chord still exists.
const EXTEND: &str = "
local c, s = unpack(KEYS)
local token, hold = unpack(ARGV)
if redis.call('GET', c) == token then return redis.call('EXPIRE', c, hold) end
if redis.call('EXISTS', s) == 1 and redis.call('SET', c, token, 'NX', 'EX', hold) then return 1 end
return 0
";

/// Deletes the chord, if this worker still has the claim.
const SENT: &str = "
local c, j, t, s, d = unpack(KEYS)
local token, done = unpack(ARGV)
if redis.call('GET', c) ~= token then return 0 end
redis.call('DEL', j, t, s, d)
redis.call('SET', c, 'done', 'EX', done)
return 1
";

impl RedisResults {
    /// Stores the number of ends of a header before its chord is sent. Anything left from an earlier run of it is
    /// deleted.
    pub(crate) async fn chord_size(&self, group: &str, size: usize) {
        let mut commands = redis::pipe();
        commands.del(group_key(group, "c")).ignore();
        commands.set_ex(group_key(group, "s"), size, EXPIRES).ignore();
        // Both replace any value under the keys.
        let _: Result<(), WrongType> = self.ask(&commands).await;
    }

    /// Counts a part of a chord's header, and returns the action to take if it was the last one.
    pub(crate) async fn returned(&self, part: &Part, state: &str, result: &Value) -> Option<Join> {
        let claim = Claim {
            group: part.group.clone(),
            token: Uuid::new_v4().simple().to_string(),
        };
        let joined = match self.count(part, &claim, state, result).await {
            Ok(false) => return None,
            Ok(true) => self.join(&part.group).await,
            Err(error) => {
                tracing::error!("chord {} cannot be counted: {}", part.group, explain(&error));
                return None;
            }
        };
        Some(match joined {
            Ok(results) => Join::Complete {
                body: part.body.clone(),
                results,
                claim,
            },
            Err((message, cause)) => Join::Broken(Broken::new(&part.group, &part.body, message, cause)),
        })
    }

    async fn count(
        &self,
        part: &Part,
        claim: &Claim,
        state: &str,
        result: &Value,
    ) -> Result<bool, WrongType> {
        let score = part.score();
        let stored = json::to_json(&part.stored(state, result));
        let keys = ["j", "t", "s", "d", "", "c"].map(|key| group_key(&part.group, key));
        let arguments = [
            format!("{}:{score}", part.id),
            stored,
            score,
            EXPIRES.to_string(),
            claim.token.clone(),
            CLAIM.to_string(),
        ];
        // A part that was counted before arrives again: the worker that it came from, and that has the claim, may
        // be dead. Celery stops here, and the chord may never continue.
        loop {
            match self.eval::<u8>(RETURNED, &keys, &arguments).await? {
                0 => return Ok(false),
                1 => return Ok(true),
                _ => tokio::time::sleep(CLAIMED).await,
            }
        }
    }

    /// Returns the results of a complete header. If the header contains groups, its structure was stored when it
    /// was sent.
    async fn join(&self, group: &str) -> Result<Value, (String, Option<Value>)> {
        if let Some(saved) = self.get(&group_key(group, "")).await
            && let Some(header) = saved.as_dict().and_then(|saved| saved.get("result"))
        {
            return self.nested(header, Instant::now() + JOIN).await;
        }
        let mut commands = redis::pipe();
        commands.zrange(group_key(group, "j"), 0, -1);
        let (parts,): (Vec<Vec<u8>>,) = self
            .ask(&commands)
            .await
            .map_err(|error| (format!("Join error: {}", explain(&error)), None))?;
        let parts = parts
            .iter()
            .map(|part| json::parse(part))
            .collect::<Result<Vec<_>, _>>();
        Part::unpack(parts.map_err(|error| (format!("Join error: {}", error.py_repr()), None))?)
    }

    /// Returns the results of a stored `GroupResult.as_tuple()`, group by group.
    fn nested<'a>(
        &'a self,
        node: &'a Value,
        until: Instant,
    ) -> BoxFuture<'a, Result<Value, (String, Option<Value>)>> {
        async move {
            let broken = || {
                (
                    "Join error: ValueError('the stored header is not valid')".to_owned(),
                    None,
                )
            };
            let Some([own, members]) = node.as_list() else {
                return Err(broken());
            };
            if let Some(members) = members.as_list() {
                let mut results = Vec::with_capacity(members.len());
                for member in members {
                    results.push(self.nested(member, until).await?);
                }
                return Ok(Value::List(results));
            }
            let id = own.as_list().and_then(<[Value]>::first).unwrap_or(own);
            self.result(id.as_str().ok_or_else(broken)?, until).await
        }
        .boxed()
    }

    /// Returns the result of a task that has returned, or will in a moment.
    async fn result(&self, id: &str, until: Instant) -> Result<Value, (String, Option<Value>)> {
        loop {
            if let Some(Value::Dict(mut meta)) = self.ready(id).await {
                let result = meta.remove("result").unwrap_or(Value::None);
                if meta.get("status").and_then(Value::as_str) == Some("SUCCESS") {
                    return Ok(result);
                }
                let message = format!("Join error: {}", super::exception_info::repr(&result));
                return Err((message, None));
            }
            if Instant::now() >= until {
                let message = "Join error: TimeoutError('The operation timed out.')";
                return Err((message.to_owned(), None));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Returns whether this worker may still send the body, and extends the claim for as long as sending may take.
    pub(crate) async fn extend(&self, claim: &Claim) -> bool {
        let keys = ["c", "s"].map(|key| group_key(&claim.group, key));
        let arguments = [claim.token.clone(), SENDING.to_string()];
        let extended = self.eval(EXTEND, &keys, &arguments).await.unwrap_or(false);
        if !extended {
            tracing::warn!("another worker sends the body of chord {}", claim.group);
        }
        extended
    }

    /// Records that the body was sent, so that no worker sends it again.
    pub(crate) async fn sent(&self, claim: &Claim) {
        let keys = ["c", "j", "t", "s", "d"].map(|key| group_key(&claim.group, key));
        let arguments = [claim.token.clone(), DONE.to_string()];
        if !self.eval(SENT, &keys, &arguments).await.unwrap_or(false) {
            tracing::warn!(
                "the keys of chord {} were not deleted and are left to expire",
                claim.group
            );
        }
    }

    /// Records that the body has failed, so that a late header task does not fail it again. The parts stay, as in
    /// Celery.
    pub(crate) async fn broken(&self, group: &str) {
        let mut commands = redis::pipe();
        commands.del(group_key(group, "s")).ignore();
        // A value of any kind is deleted.
        let _: Result<(), WrongType> = self.ask(&commands).await;
    }

    async fn eval<T: FromRedisValue>(
        &self,
        script: &str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<T, WrongType> {
        let mut commands = redis::pipe();
        commands
            .cmd("EVAL")
            .arg(script)
            .arg(keys.len())
            .arg(keys)
            .arg(arguments);
        let (answer,): (T,) = self.ask(&commands).await?;
        Ok(answer)
    }
}

/// Returns Celery's key for a part of a group's data.
fn group_key(group: &str, part: &str) -> String {
    let dot = if part.is_empty() { "" } else { "." };
    format!("celery-taskset-meta-{group}{dot}{part}")
}
