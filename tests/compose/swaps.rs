//! Tests that swap one service while requests are processed.

use std::time::{Duration, Instant};

use crate::stack::{By, Part, Stack, quiet};
use crate::traffic::Traffic;

/// The time with requests before and after each swap.
const STEADY: Duration = Duration::from_secs(1);

/// Swaps each of the three services to Python and back.
pub(crate) async fn six_live_swaps(stack: &mut Stack) {
    for part in Part::ALL {
        for to in [By::Python, By::Rust] {
            let begin = Instant::now();
            let from = stack.by(part);
            assert_ne!(from, to);
            let _quiet = quiet().await;
            let traffic = Traffic::start(stack);
            tokio::time::sleep(STEADY).await;
            stack.swap(part, to).await;
            tokio::time::sleep(STEADY).await;
            let what = format!("live swap of {} from {from} to {to}", part.service());
            let fate = traffic.end(stack, &what).await;
            println!("  {:.1} s", begin.elapsed().as_secs_f64());
            assert!(fate.accepted > 10, "{what}: too few requests to say anything");
            // A verdict may be unknown only while there is no ACL service.
            let allowed = fate.verdicts.get("allowed").copied().unwrap_or(0);
            assert!(part == Part::Acl || allowed == fate.accepted, "{what}: {fate:?}");
            let unknown = fate.verdicts.get("unknown").copied().unwrap_or(0);
            assert_eq!(allowed + unknown, fate.accepted, "{what}: {fate:?}");
        }
    }
}
