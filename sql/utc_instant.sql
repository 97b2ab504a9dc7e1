-- function:  utc_instant
-- parameter: given | - | a timestamp or text
-- why:       The instant of an argument: with an offset or Z as written, without one in UTC; null stays null. It passes through
--            text because a plain cast reads it in the session's time zone.
case
    when substr(cast(given as varchar), 11) like '%+%' or substr(cast(given as varchar), 11) like '%-%'
        or cast(given as varchar) like '%Z'
        then cast(cast(given as varchar) as timestamp with time zone)
    else cast(cast(given as varchar) as timestamp) at time zone 'UTC'
end
