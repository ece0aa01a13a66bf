//! What a save would write, before it does.

mod estimate;
mod plan;

pub use self::estimate::{Estimate, estimate};
pub use self::plan::{PlannedImage, PlannedPart, SavePlan, Share, plan_parts};
