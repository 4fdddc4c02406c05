-- name: found
-- The opportunities that a filter would have found, by the rule of the planner (`meets`); the newest in full.
-- $1 since, $2 types, $3 regions, $4 cpv, $5 themes, $6 audience, $7 procedures, $8 least value, $9 most value,
-- $10 currency, $11 words, $12 how many in full
WITH met AS (
  SELECT DISTINCT ON (e.subject) e.id, e.accepted_at FROM events e
  WHERE e.accepted_at >= $1 AND e.type = ANY ($2::text[])
    AND meets($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8, $9, $10, $11::text[],
          e.m_regions, e.m_cpv, e.m_themes, e.m_audience, e.m_procedure, e.m_value, e.m_currency, e.m_text)
  ORDER BY e.subject, e.accepted_at DESC
),
newest AS (
  SELECT id, count(*) OVER () AS count FROM met ORDER BY accepted_at DESC LIMIT $12
)
SELECT newest.count, e.subject, e.accepted_at, e.deadline, e.data -> 'title' AS title, e.data ->> 'url' AS url,
  e.data #>> '{buyer,name}' AS buyer
FROM newest JOIN events e USING (id) ORDER BY e.accepted_at DESC

-- name: began
-- The first opportunity of a period: since when there is something to find.
-- $1 since
SELECT min(accepted_at) FROM events
WHERE accepted_at >= $1 AND type IN ('opportunity.published', 'opportunity.updated')

-- name: unseen
-- What a filter names that no opportunity ever had: most likely a typing error.
-- $1 themes, $2 audience, $3 procedures, $4 cpv, $5 regions
SELECT 'themes' AS criterion, v AS value FROM unnest($1::text[]) v
  WHERE NOT EXISTS (SELECT FROM events e WHERE v = ANY (e.m_themes))
UNION ALL SELECT 'audience', v FROM unnest($2::text[]) v
  WHERE NOT EXISTS (SELECT FROM events e WHERE v = ANY (e.m_audience))
UNION ALL SELECT 'procedures', v FROM unnest($3::text[]) v
  WHERE NOT EXISTS (SELECT FROM events e WHERE v = e.m_procedure)
UNION ALL SELECT 'cpv', v FROM unnest($4::text[]) v
  WHERE NOT EXISTS (SELECT FROM events e WHERE v = ANY (e.m_cpv))
UNION ALL SELECT 'regions', v FROM unnest($5::text[]) v
  WHERE NOT EXISTS (SELECT FROM events e WHERE v = ANY (e.m_regions))

-- name: known_themes
-- The themes that opportunities had, most used first: to choose from.
-- $1 since, $2 how many
SELECT theme FROM events e, unnest(e.m_themes) theme WHERE e.accepted_at >= $1
GROUP BY theme ORDER BY count(*) DESC, theme LIMIT $2
