-- function:  known_until
-- parameter: funding_time   | - | settlement
-- parameter: next_time      | - | next regular settlement of the same market; null = none yet
-- parameter: interval_hours | - | the payment's own interval; null = unknown
-- why:       First instant at which a settled rate no longer counts as known: the end of its own interval, or the next settlement,
--            whichever is earlier; null where the interval is unknown. It counts from funding_time on.
case
    when next_time <= funding_time + round(cast(interval_hours as double) * 3600000000) * interval '1 microsecond' then next_time
    else funding_time + round(cast(interval_hours as double) * 3600000000) * interval '1 microsecond'
end
