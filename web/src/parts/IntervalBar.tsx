/** An estimate as a dot, its interval as a bar through it. */

import { type Axis, type Estimate, placeOn, toldEstimate } from "../lib/interval";
import "./interval.css";

interface Props {
  estimate: Estimate;
  axis: Axis;
  /** What it is of, for those who hear the page. */
  label: string;
  say: (value: number) => string;
  /** Fainter: what stands beside for comparison. */
  weak?: boolean;
  width?: number;
}

const HEIGHT_PX = 16;
const END_PX = 5;

export function IntervalBar({ estimate, axis, label, say, weak = false, width = 150 }: Props) {
  const x = (value: number) => END_PX + placeOn(axis, value) * (width - 2 * END_PX);
  const { value, low, high } = estimate;
  const middle = HEIGHT_PX / 2;
  const zero = axis[0] < 0 && axis[1] > 0 ? x(0) : null;
  return (
    <svg className="interval" data-weak={weak} width={width} height={HEIGHT_PX} role="img" aria-label={`${label}: ${toldEstimate(estimate, say)}`}>
      <line className="interval-axis" x1={END_PX} x2={width - END_PX} y1={middle} y2={middle} />
      {zero !== null && <line className="interval-axis" x1={zero} x2={zero} y1={2} y2={HEIGHT_PX - 2} />}
      {low != null && high != null && <line className="interval-bar" x1={x(low)} x2={Math.max(x(high), x(low) + 1)} y1={middle} y2={middle} />}
      {value != null && <circle className="interval-dot" cx={x(value)} cy={middle} r={4} />}
    </svg>
  );
}
