//! What the passing of time changes: the ends of drainings and of slow starts, and the look for anomalous targets at the
//! end of each window.

use tokio::time::Instant;

use super::{Member, Registry};
use crate::target_group::anomaly::{self, Conduct, Standing};

impl Registry {
    /// Does what is due. Whether that changed what requests see.
    pub(in super::super) fn advance(&mut self, now: Instant) -> bool {
        self.end_deregistrations(now);
        let settled = self.end_slow_starts(now);
        self.look_for_anomalies(now) || settled
    }

    /// When something will be due.
    pub(in super::super) fn next_due(&self) -> Option<Instant> {
        let drained = self
            .members
            .iter()
            .filter_map(|member| member.deregistered_at);
        let settled = self.members.iter().filter_map(|member| member.slow_start);
        let settled = settled.map(|since| since + self.settings.slow_start);
        drained.chain(settled).chain(self.window_ends).min()
    }

    pub(super) fn end_deregistrations(&mut self, now: Instant) {
        let target_group = self.settings.name.as_str();
        self.members.retain(|member| {
            let Some(deadline) = member.deregistered_at else { return true };
            let in_flight = member.target.in_flight();
            if in_flight > 0 && now < deadline {
                return true;
            }
            tracing::info!(target_group, target = %member.target.address(), cut = in_flight, "target deregistered");
            if in_flight > 0 {
                // Without any, nobody is to be told; a request that has chosen it and not begun yet may still run.
                member.target.set_drained();
            }
            false
        });
    }

    fn end_slow_starts(&mut self, now: Instant) -> bool {
        let duration = self.settings.slow_start;
        let mut ended = false;
        for member in &mut self.members {
            if member
                .slow_start
                .is_some_and(|since| now >= since + duration)
            {
                member.slow_start = None;
                ended = true;
            }
        }
        ended
    }

    /// At the end of a window. Whether weights changed.
    fn look_for_anomalies(&mut self, now: Instant) -> bool {
        let healthy = self.members.iter().filter(|member| member.is_healthy());
        if healthy.count() < anomaly::FEWEST_TARGETS {
            self.window_ends = None;
            let mut changed = false;
            for member in &mut self.members {
                changed |= member.standing.is_mitigated();
                member.standing = Standing::NORMAL;
            }
            return changed;
        }
        match self.window_ends {
            Some(ends) if now < ends => return false,
            Some(_) => {}
            None => {
                for member in &mut self.members {
                    member.judged = member.target.conduct();
                }
                self.window_ends = Some(now + anomaly::WINDOW);
                return false;
            }
        }
        self.window_ends = Some(now + anomaly::WINDOW);
        self.judge()
    }

    fn judge(&mut self) -> bool {
        let mitigation = self.settings.algorithm.mitigates_anomalies();
        let mut healthy: Vec<&mut Member> = self
            .members
            .iter_mut()
            .filter(|member| member.is_healthy())
            .collect();
        let conducts: Vec<Conduct> = healthy.iter().map(|member| member.conduct()).collect();
        let mut changed = false;
        for (member, verdict) in healthy.iter_mut().zip(anomaly::judge(&conducts)) {
            let Some(anomalous) = verdict else { continue };
            let before = member.standing;
            member.standing = before.after(anomalous, mitigation);
            member.judged = member.target.conduct();
            changed |= member.standing.weight.to_bits() != before.weight.to_bits();
            if anomalous != before.anomalous {
                let target_group = self.settings.name.as_str();
                let target = member.target.address();
                tracing::info!(target_group, %target, anomalous, "target stands out by its errors");
            }
        }
        changed
    }
}

impl Member {
    /// Since it was last judged.
    fn conduct(&self) -> Conduct {
        let now = self.target.conduct();
        Conduct {
            requests: now.requests.wrapping_sub(self.judged.requests),
            errors: now.errors.wrapping_sub(self.judged.errors),
        }
    }
}
