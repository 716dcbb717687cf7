//! `$((…))`, `((…))`, `let`: 64-bit integers that wrap, as in bash.

use brush_parser::ast::{ArithmeticExpr, ArithmeticTarget, BinaryOperator, UnaryAssignmentOperator, UnaryOperator};

use super::{Flow, Interp, Run};

impl Interp<'_, '_> {
    /// The value of an expression.
    pub(super) fn arithmetic(&mut self, expression: &str) -> Run<i64> {
        let text = if expression.contains(['$', '`', '"', '\'', '\\']) {
            self.text(expression)?
        } else {
            expression.to_owned()
        };
        self.evaluate_text(text.trim())
    }

    fn evaluate_text(&mut self, text: &str) -> Run<i64> {
        if text.is_empty() {
            return Ok(0);
        }
        if let Ok(number) = text.parse::<i64>()
            && !text.starts_with('0')
        {
            return Ok(number);
        }
        let nested = text.matches('(').count() > 20;
        let parsed = if text.len() > 500 || nested { None } else { brush_parser::arithmetic::parse(text).ok() };
        let Some(parsed) = parsed else {
            self.complain(&format!("{text}: syntax error: invalid arithmetic operator (error token is \"{text}\")"))?;
            return Err(Flow::Exit(1));
        };
        self.nested(|it| it.evaluate(&parsed))
    }

    fn evaluate(&mut self, expression: &ArithmeticExpr) -> Run<i64> {
        self.step()?;
        match expression {
            ArithmeticExpr::Literal(value) => Ok(*value),
            ArithmeticExpr::Reference(target) => self.read_target(target),
            ArithmeticExpr::UnaryOp(operator, operand) => {
                let value = self.evaluate(operand)?;
                Ok(match operator {
                    UnaryOperator::UnaryPlus => value,
                    UnaryOperator::UnaryMinus => value.wrapping_neg(),
                    UnaryOperator::BitwiseNot => !value,
                    UnaryOperator::LogicalNot => i64::from(value == 0),
                })
            }
            ArithmeticExpr::BinaryOp(BinaryOperator::LogicalAnd, left, right) => {
                Ok(i64::from(self.evaluate(left)? != 0 && self.evaluate(right)? != 0))
            }
            ArithmeticExpr::BinaryOp(BinaryOperator::LogicalOr, left, right) => {
                Ok(i64::from(self.evaluate(left)? != 0 || self.evaluate(right)? != 0))
            }
            ArithmeticExpr::BinaryOp(operator, left, right) => {
                let left = self.evaluate(left)?;
                let right = self.evaluate(right)?;
                self.operate(*operator, left, right)
            }
            ArithmeticExpr::Conditional(condition, yes, no) => {
                if self.evaluate(condition)? != 0 {
                    self.evaluate(yes)
                } else {
                    self.evaluate(no)
                }
            }
            ArithmeticExpr::Assignment(target, value) => {
                let value = self.evaluate(value)?;
                self.write_target(target, value)
            }
            ArithmeticExpr::BinaryAssignment(operator, target, value) => {
                let value = self.evaluate(value)?;
                let old = self.read_target(target)?;
                let value = self.operate(*operator, old, value)?;
                self.write_target(target, value)
            }
            ArithmeticExpr::UnaryAssignment(operator, target) => {
                let old = self.read_target(target)?;
                let new = match operator {
                    UnaryAssignmentOperator::PrefixIncrement | UnaryAssignmentOperator::PostfixIncrement => {
                        old.wrapping_add(1)
                    }
                    UnaryAssignmentOperator::PrefixDecrement | UnaryAssignmentOperator::PostfixDecrement => {
                        old.wrapping_sub(1)
                    }
                };
                self.write_target(target, new)?;
                let prefix = matches!(
                    operator,
                    UnaryAssignmentOperator::PrefixIncrement | UnaryAssignmentOperator::PrefixDecrement
                );
                Ok(if prefix { new } else { old })
            }
        }
    }

    fn operate(&mut self, operator: BinaryOperator, left: i64, right: i64) -> Run<i64> {
        use BinaryOperator as B;
        let shift = u32::try_from(right & 63).unwrap_or(0);
        Ok(match operator {
            B::Power => left.wrapping_pow(u32::try_from(right).unwrap_or(0)),
            B::Multiply => left.wrapping_mul(right),
            B::Divide | B::Modulo if right == 0 => {
                self.complain("division by 0 (error token is \"0\")")?;
                return Err(Flow::Exit(1));
            }
            B::Divide => left.wrapping_div(right),
            B::Modulo => left.wrapping_rem(right),
            B::Comma => right,
            B::Add => left.wrapping_add(right),
            B::Subtract => left.wrapping_sub(right),
            B::ShiftLeft => left.wrapping_shl(shift),
            B::ShiftRight => left.wrapping_shr(shift),
            B::LessThan => i64::from(left < right),
            B::LessThanOrEqualTo => i64::from(left <= right),
            B::GreaterThan => i64::from(left > right),
            B::GreaterThanOrEqualTo => i64::from(left >= right),
            B::Equals => i64::from(left == right),
            B::NotEquals => i64::from(left != right),
            B::BitwiseAnd => left & right,
            B::BitwiseXor => left ^ right,
            B::BitwiseOr => left | right,
            B::LogicalAnd => i64::from(left != 0 && right != 0),
            B::LogicalOr => i64::from(left != 0 || right != 0),
        })
    }

    fn read_target(&mut self, target: &ArithmeticTarget) -> Run<i64> {
        let text = match target {
            ArithmeticTarget::Variable(name) if self.shell.options.nounset && self.get(name).is_none() => {
                let pieces = self.pieces(&format!("${{{name}}}"), true)?;
                super::expand::join(&pieces)
            }
            ArithmeticTarget::Variable(name) => match self.get(name) {
                Some(text) => text,
                None => self.text(&format!("${{{name}-}}"))?,
            },
            ArithmeticTarget::ArrayElement(name, index) => {
                let index = self.evaluate(index)?;
                self.element(name, &index.to_string()).unwrap_or_default()
            }
        };
        self.evaluate_text(text.trim())
    }

    fn write_target(&mut self, target: &ArithmeticTarget, value: i64) -> Run<i64> {
        match target {
            ArithmeticTarget::Variable(name) => self.assign(name, &value.to_string())?,
            ArithmeticTarget::ArrayElement(name, index) => {
                let index = self.evaluate(index)?;
                self.put_number(name, index, value);
            }
        }
        Ok(value)
    }

    fn put_number(&mut self, name: &str, index: i64, value: i64) {
        use super::Value;
        let mut items = match self.shell.variables.get(name).map(|variable| variable.value.clone()) {
            Some(Value::Array(items)) => items,
            _ => std::collections::BTreeMap::new(),
        };
        items.insert(index, value.to_string());
        self.set_value(name, Value::Array(items));
    }
}
