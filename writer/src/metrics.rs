//! The writer's metrics: names, help, units and labels, declared once.
